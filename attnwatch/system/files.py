"""Writes files atomically (temporary name, fsync, rename, fsync), and reads, links and checks them with care."""

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from attnwatch.system.abilities import sync_folder
from attnwatch.system.shortage import read_only


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file that is never visible in part, even after a power failure.

    Args:
        path: final name.
        data: whole content.
        durable: flush the file to disk. Otherwise readers still see all of it or nothing, but a power failure may lose
            it.

    """
    with writing(path, durable=durable) as file:
        file.write(data)


@contextlib.contextmanager
def writing(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a file for writing; it gets its final name at the end of the context, unless an error is raised."""
    # The process id alone is not unique: two containers may share it.
    temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def read_regular(path: Path, most: int, *, follow: bool = True) -> bytes | None:
    """Return the first `most` bytes of a regular file; None if the path is something else, such as a FIFO.

    Args:
        path: the file.
        most: bytes to read at most.
        follow: whether to follow a link.

    Raises:
        OSError: the file cannot be read; ELOOP if it is a link and `follow` is false.

    """
    careful = os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)  # opening a FIFO would wait for its writer
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | careful)) as file:
        status = os.fstat(file.fileno())
        # Bounded by the size as well: a buffer of `most` bytes is slow to allocate.
        return file.read(min(status.st_size + 1, most)) if stat.S_ISREG(status.st_mode) else None


def move_into_place(path: Path, target: Path) -> None:
    """Rename a finished file within its file system; the caller syncs the directory, once for many files."""
    sync(path)
    path.replace(target)


def unwritable(folder: Path) -> str | None:
    """Return why a folder cannot be written, or created; None if it can."""
    try:
        mode = os.lstat(folder).st_mode
    except FileNotFoundError:
        folder, mode = next((above for above in folder.parents if above.exists()), folder), stat.S_IFDIR
    except OSError as error:
        return f"{folder}: {error.strerror}"
    if not stat.S_ISDIR(mode):  # a link might lead anywhere
        found = "a link" if stat.S_ISLNK(mode) else "a file"
        return f"{folder}: found {found}; expected a folder for the outputs; remove it"
    if os.access(folder, os.W_OK | os.X_OK):
        return None
    denied = f"{folder} cannot be written by user {os.geteuid()}; change its permissions, or run as its owner"
    return read_only(folder) or denied


def link_or_copy(source: Path, target: Path) -> None:
    """Make a file available under a second name: as a hard link, or as a copy if the file system has none.

    Raises:
        FileNotFoundError: the source does not exist.

    """
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(source, target)


def sync(path: Path) -> None:
    """Flush a file or a directory to disk; a directory only where its file system can do that."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            sync_folder(descriptor)
        else:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
