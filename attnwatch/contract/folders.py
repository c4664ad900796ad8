"""A folder of files taken for one input: how large it is, when it changed, and what is in it."""

import hashlib
import os
from pathlib import Path


def folder_totals(path: Path | str) -> tuple[int, int, int]:
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


def folder_digest(path: Path) -> str:
    """Return the SHA-256, in hexadecimal digits, of the names and contents of the files directly in a folder."""
    total = hashlib.sha256()
    for file in sorted(entry for entry in path.iterdir() if entry.is_file() and not entry.name.startswith(".")):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").digest()
        total.update(os.fsencode(file.name) + b"\0" + content)
    return total.hexdigest()
