"""The on-disk contract (FORMAT.md): documents, manifests, receipts, and when a receipt is still valid."""
