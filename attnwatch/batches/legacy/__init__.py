"""Batches from before the manifest, and of generators that write none: how they are laid out, read and imported.

What is read here comes out as what a manifest and its tensors come out as, so nothing above knows the difference.
"""
