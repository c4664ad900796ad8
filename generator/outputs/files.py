"""Writes files atomically: a file has its final name only once it is complete.

A file is written under a hidden temporary name in the same directory, flushed to disk and renamed; then the directory
is flushed. A reader who sees the final name sees the whole file, even after a power failure.

Who works on what others may take over, `confirmed` holds back: see there.
"""

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from generator.errors import OutputError

_TEMPORARY_PREFIX = ".generator-"
_TEMPORARY_SUFFIX = ".tmp"
_CHUNK = 2**20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_FOLDER_FLUSH = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
"""Errors of file systems, mostly network shares, that cannot flush folders: there, renaming has to be enough."""


_confirm: ContextVar[Callable[[], None]] = ContextVar("confirm", default=lambda: None)


@contextmanager
def confirmed(confirm: Callable[[], None]) -> Iterator[None]:
    """Call ``confirm`` in the context whenever files of a video are replaced or removed.

    What it raises says that they belong to another process now. A process that was stopped for longer than its lease
    goes on in the middle of writing, so each step has to be confirmed, right before it is done.
    """
    token = _confirm.set(confirm)
    try:
        yield
    finally:
        _confirm.reset(token)


def confirm() -> None:
    """Make sure that files may be replaced or removed; raises what the innermost `confirmed` does."""
    _confirm.get()()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, and rename that file to ``path`` on leaving.

    After an exception the temporary file is removed and an existing ``path`` is unchanged.

    Raises:
        OutputError: if the file cannot be written, for example because the disk is full.

    """
    # The number of a process is not unique: on several machines, and in several containers, others have it too.
    writer = f"{os.getpid()}-{secrets.token_hex(4)}"
    temporary = path.with_name(f"{_TEMPORARY_PREFIX}{writer}-{path.name[-100:]}{_TEMPORARY_SUFFIX}")
    try:
        yield temporary
        confirm()
        _flush(temporary)
        confirm()
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        confirm()  # whoever has taken over may have removed the temporary file
        raise OutputError(f"{path} cannot be written: {error.strerror or error}. {_remedy(error)}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _remedy(error: OSError) -> str:
    first = "Free some space" if error.errno in _FULL else "Check what is at this path, and who may write there"
    return f"{first}, then continue the batch with --resume; or start a new batch with another --output"


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, document: object) -> None:
    """Write a JSON document atomically, indented for people to read."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    # Names of folders may have bytes that are not UTF-8; as escapes, JSON keeps them.
    write_bytes(path, f"{text}\n".encode(errors="backslashreplace"))


def make_folder(path: Path) -> None:
    """Create a folder and its missing parents.

    Raises:
        OutputError: if a folder cannot be created.

    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {path} cannot be created: {error.strerror or error}") from error


def remove_leftovers(folder: Path, start: str = "") -> None:
    """Remove temporary files that a killed process left anywhere below ``folder``.

    Those of a process that is still alive must not be among them: ``start`` is the start of the names of the files
    that it does not write.
    """
    of = f"{start}*" if start else ""
    for leftover in folder.rglob(f"{_TEMPORARY_PREFIX}*{of}{_TEMPORARY_SUFFIX}"):
        leftover.unlink(missing_ok=True)


def fingerprint(path: Path) -> dict[str, int | str]:
    """Return the size and the digest of a file as an entry of ``files`` in FORMAT.md."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _flush_folder(path: Path) -> None:
    """Flush a folder to disk, where its file system can do that."""
    try:
        _flush(path)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FLUSH:
            raise


def _flush(path: Path) -> None:
    """Flush a file or a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
