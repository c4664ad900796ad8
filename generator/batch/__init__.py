"""Runs a batch: its plan, its videos one after another, and its documents.

The command line uses `plan` to plan a batch and `run` to make its videos.
"""
