"""Turns a template into prompts, and tracked words into token positions of the text encoder.

Callers use `template` for prompts and `tokens` for positions and slugs.
"""
