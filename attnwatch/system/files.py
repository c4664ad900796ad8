"""Files that are whole under their final name, whatever happens: temporary name, fsync, rename, fsync."""

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from attnwatch.system.shortage import read_only


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file so that its name never stands for half of it, also after a loss of power.

    Args:
        path: the final name.
        data: all of its content.
        durable: flush it to the disk; without, it is whole for every reader, and a loss of power may take it away.

    """
    with writing(path, durable=durable) as file:
        file.write(data)


@contextlib.contextmanager
def writing(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a file to write; it gets its final name at the end of the context, unless that ends in an error."""
    # Not the process id alone: two containers may have the same one.
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
    """Rename a finished file on the same file system; the caller syncs the directory, once for many files."""
    sync(path)
    path.replace(target)


def unwritable(folder: Path) -> str | None:
    """Return why no file can be written in a folder, which is made where there is none yet; None if one can."""
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
    """Make a file appear under a second name: as a link, or as a copy where the file system has none.

    Raises:
        FileNotFoundError: there is no such source.

    """
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(source, target)


def sync(path: Path) -> None:
    """Flush a file or a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
