"""Remembers what has been said, so that it is not said again for each video of a batch."""

_said: set[tuple[str, ...]] = set()


def is_first(*about: str) -> bool:
    """Whether this is the first call with these arguments in this process."""
    is_new = about not in _said
    _said.add(about)
    return is_new
