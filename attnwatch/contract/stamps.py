"""Stamps and digests: detect changed files cheaply by size and times, or reliably by content.

A folder of an older batch counts as one file.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from attnwatch.system.folders import Folder
from attnwatch.system.roots import Root


class Stamp(NamedTuple):
    """Size in bytes and times in nanoseconds of a file; a different stamp means that its content may have changed.

    For a folder of an older batch: the total size of the files in it, and their latest times.
    """

    bytes: int
    modified: int
    changed: int


def sizes(stamps: Mapping[str, Stamp | None]) -> dict[str, int | None]:
    """Return the sizes in bytes; None if a file is absent."""
    return {name: stamp and stamp.bytes for name, stamp in stamps.items()}


class Mark(NamedTuple):
    """What tells an open file in its present state from every other file and state.

    Whoever writes to a file can set its modification time, but not the change time of its inode (nanoseconds).
    """

    device: int
    inode: int
    bytes: int
    modified: int
    changed: int

    @classmethod
    def of(cls, file: BinaryIO) -> Self:
        """Return the mark of an open file."""
        status = os.fstat(file.fileno())
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def file_digest(file: BufferedReader) -> str:
    """Return the SHA-256 of an open file from its position on, in hexadecimal digits."""
    return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(path: Path, root: Root) -> tuple[str, dict[str, Mark]]:
    """Return the SHA-256 of the files in a folder, in hexadecimal digits, and the mark of each by name.

    Args:
        path: the folder.
        root: where it is looked up from.

    Raises:
        LinkError: it is reached through a link that is not followed, or a file in the folder is one.
        OSError: it is absent or cannot be read.

    """
    with root.folder(path) as folder:
        return _folder_digest(folder)


def stamp_of(path: Path | str) -> Stamp | None:
    """Return the stamp of a file; None if it is absent or inaccessible."""
    try:
        return required_stamp(path)
    except (OSError, ValueError):
        return None


def required_stamp(path: Path | str) -> Stamp | None:
    """Return the stamp of a file; None if it is absent.

    Raises:
        OSError: the file is inaccessible for another reason.

    """
    try:
        status = os.stat(path)  # noqa: PTH116 - called for every file in every scan, with strings too
        if stat.S_ISDIR(status.st_mode):
            return Stamp(*_folder_totals(path))
    except FileNotFoundError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _folder_totals(path: Path | str) -> tuple[int, int, int]:
    """Return the total size, latest modification time and latest change time of the files directly in a folder.

    The size is in bytes, the times are in nanoseconds. The times of the folder itself count too, because they change
    when a file is removed or renamed. Hidden files do not count.

    Raises:
        FileNotFoundError: the folder does not exist.

    """
    own = os.stat(path)  # noqa: PTH116 - called for every folder in every scan, with strings too
    size, modified, changed = 0, own.st_mtime_ns, own.st_ctime_ns
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.is_file():
                continue
            status = entry.stat()
            size += status.st_size
            modified, changed = max(modified, status.st_mtime_ns), max(changed, status.st_ctime_ns)
    return size, modified, changed


def _folder_digest(folder: Folder) -> tuple[str, dict[str, Mark]]:
    """Return the SHA-256 of the names and contents of the files directly in a folder, and the mark of each."""
    total, marks = hashlib.sha256(), {}
    with folder.scan() as entries:
        names = sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
    for name in names:
        with folder.open_file(name) as opened:
            marks[name] = Mark.of(opened)  # before it is read: what changes it meanwhile makes the mark wrong
            content = hashlib.file_digest(opened, "sha256").digest()
        total.update(os.fsencode(name) + b"\0" + content)
    return total.hexdigest(), marks
