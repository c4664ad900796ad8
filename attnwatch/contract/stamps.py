"""Stamps and digests: what tells cheaply, or surely, whether a file is still the same one.

A folder of an older batch counts as one file.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    """What tells cheaply that a file may be another one: its size in bytes, and its times in nanoseconds.

    A folder of an older batch counts like one file: the bytes of those in it, and their latest times.
    """

    bytes: int
    modified: int
    changed: int


def sizes(stamps: Mapping[str, Stamp | None]) -> dict[str, int | None]:
    """Return the sizes in bytes, None where a file is absent."""
    return {name: stamp and stamp.bytes for name, stamp in stamps.items()}


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of what is in a folder, in hexadecimal digits."""
    if path.is_dir():
        return _folder_digest(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp_of(path: Path | str) -> Stamp | None:
    """Return the stamp of a file, None where there is none that could be looked at."""
    try:
        return required_stamp(path)
    except (OSError, ValueError):
        return None


def required_stamp(path: Path | str) -> Stamp | None:
    """Return the stamp of a file, None where it is absent.

    Raises:
        OSError: it cannot be looked at for another reason.

    """
    try:
        status = os.stat(path)  # noqa: PTH116 - a path of any kind: this is called for every file in every scan
        if stat.S_ISDIR(status.st_mode):
            return Stamp(*_folder_totals(path))
    except FileNotFoundError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _folder_totals(path: Path | str) -> tuple[int, int, int]:
    """Return the bytes of the files directly in a folder, and the latest of its and their times.

    The times are those of content and of inode, in nanoseconds. Those of the folder itself tell that a file was removed
    or renamed. Hidden files do not count.

    Raises:
        FileNotFoundError: there is no such folder.

    """
    own = os.stat(path)  # noqa: PTH116 - a path of any kind: this is called for every folder in every scan
    size, modified, changed = 0, own.st_mtime_ns, own.st_ctime_ns
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not entry.is_file():
                continue
            status = entry.stat()
            size += status.st_size
            modified, changed = max(modified, status.st_mtime_ns), max(changed, status.st_ctime_ns)
    return size, modified, changed


def _folder_digest(path: Path) -> str:
    """Return the SHA-256, in hexadecimal digits, of the names and contents of the files directly in a folder."""
    total = hashlib.sha256()
    for file in sorted(entry for entry in path.iterdir() if entry.is_file() and not entry.name.startswith(".")):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").digest()
        total.update(os.fsencode(file.name) + b"\0" + content)
    return total.hexdigest()
