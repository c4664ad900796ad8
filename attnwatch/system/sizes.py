"""Sizes of files, and how people read them: in binary units."""

import os
import re

from pydantic import ByteSize


def file_size(path: str) -> int | None:
    """Return the number of bytes of a file; None if there is none, or if the text is no path."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 - Path costs ten times as much
    except (OSError, ValueError):  # such as a name with NUL, from a receipt
        return None


def size_text(size: int) -> str:
    """Return a number of bytes as `12 MiB` or `1.5 GiB`."""
    return re.sub(r"(\.0)?([A-Z]i?B|B)$", r" \2", ByteSize(size).human_readable())
