"""Adapters, one module per model family. Only ``load`` and ``generator.tiny.probe`` import them."""
