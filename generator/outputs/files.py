"""Files that are whole as soon as they have their name.

A file is written to a hidden temporary name in the same directory, flushed to the disk, renamed, and the directory
is flushed. Whoever sees the name sees all of the file, also after a loss of power.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generator.errors import OutputError

_TEMPORARY_PREFIX = ".generator-"
_TEMPORARY_SUFFIX = ".tmp"
_CHUNK = 2**20


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; on leaving, what lies there becomes ``path``.

    After an exception nothing is left of it, and what was at ``path`` before is still there.

    Raises:
        OutputError: if the disk is full, the folder cannot be written, and the like.

    """
    temporary = path.with_name(f"{_TEMPORARY_PREFIX}{os.getpid()}-{path.name[-100:]}{_TEMPORARY_SUFFIX}")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}. Make room or give another folder with --output, "
            "then take the batch up again with --resume"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, document: object) -> None:
    """Write a JSON document for programs and for people."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, f"{text}\n".encode())


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there yet.

    Raises:
        OutputError: if that is not possible.

    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {path} cannot be made: {error.strerror or error}") from error


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process left anywhere below ``folder``."""
    for leftover in folder.rglob(f"{_TEMPORARY_PREFIX}*{_TEMPORARY_SUFFIX}"):
        leftover.unlink(missing_ok=True)


def fingerprint(path: Path) -> dict[str, int | str]:
    """Return size and digest of a file, as FORMAT.md's ``files`` lists them."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _flush(path: Path) -> None:
    """Flush a file, or the names in a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
