"""The on-disk contract of FORMAT.md: names, documents, manifests, receipts, and when a receipt becomes stale."""
