"""Shares out the videos of a batch in advance, among processes that a launcher has started together."""
