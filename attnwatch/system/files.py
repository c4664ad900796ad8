"""Moves, links, copies and removes files in open folders; no link is followed."""

import os
import secrets
import shutil
import stat
from pathlib import Path

from attnwatch.system.folders import Folder, Identity

_OPEN_FILES = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))


def write_file(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file that a user has named; it is never visible in part. See `Folder.writing`.

    Nothing takes the place of a pipe or a device, such as `/dev/stdout`: the data is written to it.
    """
    if _is_stream(path):
        with path.open("ab") as stream:
            stream.write(data)
        return
    with Folder.open(path.parent) as folder:
        folder.write(path.name, data, durable=durable)


def _is_stream(path: Path) -> bool:
    """Return whether a path leads to a pipe or a device, or is the system's own name of an open file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return path.parent in _OPEN_FILES or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def move_into_place(name: str, source: Folder, target: Folder, target_name: str) -> None:
    """Flush a finished file and move it to a folder of the same file system.

    The caller flushes that folder, once for many files.

    Raises:
        LinkError: the file is a link.
        OSError: it does not exist or is not a regular file.

    """
    with source.open_file(name) as file:
        os.fsync(file.fileno())
    source.rename(name, target, target_name)


def link_or_copy(name: str, source: Folder, target: Folder) -> None:
    """Make a file available in another folder: as a hard link, or as a copy if there can be none.

    Raises:
        LinkError: the file is a link.
        OSError: it does not exist or is not a regular file, or the name is taken.

    """
    with source.open_file(name) as file:
        if not _linked(name, source, target, Identity.of(os.fstat(file.fileno()))):
            with target.create(name) as copy:
                shutil.copyfileobj(file, copy)


def _linked(name: str, source: Folder, target: Folder, identity: Identity) -> bool:
    """Link a file, and make sure that it is the one with this identity; return whether that was possible."""
    try:
        source.link(name, target, name)
    except FileExistsError:
        raise
    except OSError:
        return False
    if Identity.of(target.stat(name)) == identity:
        return True
    target.unlink(name)
    return False


def remove_tree(name: str, folder: Folder) -> None:
    """Remove a file, a link itself, or a folder with all that is in it; nothing happens if it is absent.

    Only two folders are open at a time, however deep the tree is: what lies deeper moves up before it is emptied.

    Raises:
        OSError: something cannot be removed.

    """
    if folder.remove(name):
        return
    with folder.folder(name) as top:
        while inside := top.names():
            for one in inside:
                _lift(one, top)
    folder.remove(name)


def _lift(name: str, top: Folder) -> None:
    """Remove what has a name; of a folder, move the folders in it to the top first."""
    if top.remove(name):
        return
    with top.folder(name) as full:
        for inside in full.names():
            if not full.remove(inside):
                full.rename(inside, top, secrets.token_hex(16))
    top.remove(name)
