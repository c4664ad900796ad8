"""Run batches of text-to-video generation and record exact cross-attention of tracked words."""
