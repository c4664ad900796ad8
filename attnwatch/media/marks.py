"""Marks videos and moving pictures that attnwatch wrote under a name of the user's, so that it knows them again.

Its other outputs are known by their names, by the folders that they are in, or by a document beside them. The mark is
the last thing in a file, where the format has room for what players skip: a box `free` of MP4, a comment of GIF.
"""

import os
import struct
from pathlib import Path

_TEXT = b"made by attnwatch"
_GIF_END = b";"
_GIF_MARK = b"!\xfe" + bytes([len(_TEXT)]) + _TEXT + b"\0"  # a comment extension of one sub-block
_MP4_MARK = struct.pack(">I4s", 8 + len(_TEXT), b"free") + _TEXT
_MARKS = {".gif": _GIF_MARK + _GIF_END, ".mp4": _MP4_MARK}  # what a marked file ends with


def mark(path: Path) -> None:
    """Mark a complete file; one of another format than MP4 and GIF stays as it is."""
    end = _MARKS.get(path.suffix.lower())
    if end is None:
        return
    with path.open("r+b") as file:
        file.seek(-len(_GIF_END) if end.endswith(_GIF_END) else 0, os.SEEK_END)  # the end of a GIF comes after the mark
        file.write(end)


def is_marked(path: Path) -> bool:
    """Return whether attnwatch wrote a file and marked it; False if it cannot be read. Links are not followed."""
    end = _MARKS.get(path.suffix.lower())
    if end is None:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # it may be a pipe
    except OSError:
        return False
    try:
        start = os.fstat(descriptor).st_size - len(end)
        return start > 0 and os.pread(descriptor, len(end), start) == end
    except OSError:  # a folder, or a disk that does not work
        return False
    finally:
        os.close(descriptor)
