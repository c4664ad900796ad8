"""Adapters, one module per model family. Only ``generator.models.load`` imports them."""
