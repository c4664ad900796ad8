"""Measures of attention maps: where a word's attention is, how it moves, when it forms, and how words overlap."""
