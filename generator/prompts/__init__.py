"""Prompt templates, and where their tracked words end up among the text encoder's tokens."""
