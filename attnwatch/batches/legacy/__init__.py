"""Older batches: written before manifests existed, or by generators that write none.

The modules here know the older layouts and read their videos as the same `Manifest` and `AttentionReader` that current
batches have. Only `attnwatch.batches` may import them.
"""
