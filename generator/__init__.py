"""Runs batches of text-to-video generation and records exact cross-attention of tracked words."""
