"""Tiny pipelines with the architecture of CogVideoX."""

from tests import families


def from_parts(kind, **network):
    """Build a pipeline of the parts of the one from text."""
    return kind(**families.cogvideox(**network).components)
