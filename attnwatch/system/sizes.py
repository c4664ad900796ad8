"""Formats sizes for people, in binary units."""

import re

from pydantic import ByteSize


def size_text(size: int) -> str:
    """Return a number of bytes as `12 MiB` or `1.5 GiB`."""
    return re.sub(r"(\.0)?([A-Z]i?B|B)$", r" \2", ByteSize(size).human_readable())
