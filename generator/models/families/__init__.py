"""Model families: what differs between them, and an adapter for each."""
