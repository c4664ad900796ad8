"""Images that videos are made from: which files they are, and their pixels.

Callers use `files` to find and examine image files before anything large is loaded, and `pixels` to open them.
"""
