"""Detects exhausted disks and process limits; failures they cause do not count as attempts of a video.

What only one video runs out of, because it asks for too much, is a failure of that video: nothing else has to wait.
"""

import errno
import os
import resource
import tempfile
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from attnwatch.system.sizes import size_text

_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_MACHINE = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN})
_NO_THREAD = "can't start new thread"

ENOUGH_FILES = 256
"""Open files that any rendering can do with: `doctor` warns below."""

_PROBE = 2**20  # bytes that must fit on a disk that is not full


class Shortage(Enum):
    """The exhausted resource: space on the disk of the outputs or for temporary files, or files and processes."""

    DISK = "disk"
    TEMPORARY = "temporary"
    MACHINE = "machine"


def shortage_behind(error: BaseException) -> Shortage | None:
    """Return the shortage that caused an error; None if it has another cause."""
    for cause in _chain(error):
        number = getattr(cause, "errno", None)
        if number in _DISK:
            return Shortage.DISK
        if number in _MACHINE or (isinstance(cause, RuntimeError) and str(cause) == _NO_THREAD):
            return Shortage.MACHINE
    return None


def lasting_shortage(error: BaseException, folder: Path) -> Shortage | None:
    """Return the shortage behind an error in a job if it outlasts the job's use, so that other jobs meet it too.

    Call it in the job's process when its unfinished files are removed.

    Args:
        error: what the job met.
        folder: where it writes its outputs.

    Returns:
        None if the error has another cause, or if this job alone used up the disk, or all files that it may open.

    """
    shortage = shortage_behind(error)
    if shortage is Shortage.DISK:
        return None if _has_room(folder) else shortage
    if shortage is Shortage.MACHINE and any(getattr(cause, "errno", None) == errno.EMFILE for cause in _chain(error)):
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return None if most == resource.RLIM_INFINITY or most >= ENOUGH_FILES else shortage
    return shortage


def _has_room(folder: Path) -> bool:
    """Return whether a file of some size can be written: free space alone says nothing about quotas and inodes."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, _PROBE)
    except OSError:
        return False
    return True


def take_room(descriptor: int, size: int) -> None:
    """Take room for an open file on its disk, before it is written; where that is impossible, do nothing.

    Raises:
        OSError: there is too little.

    """
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in _DISK:
            raise


def free_space(folder: Path) -> int | None:
    """Return the free bytes on the disk of a folder; None if the system does not report them."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def whole_space(folder: Path) -> int | None:
    """Return the size in bytes of the disk of a folder; None if the system does not report it."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return status.f_blocks * status.f_frsize or None


def lack_of_space(folder: Path, least: int) -> str | None:
    """Return why fewer than `least` bytes can be written to the disk of a folder; None if there is enough space."""
    if (found := read_only(folder)) is not None:
        return found
    left = free_space(folder)
    if left is None or left >= least:
        return None
    found = f"the disk of {folder} is full ({size_text(left)} left, min_free_space is {size_text(least)})"
    return f"{found}; free some space, lower min_free_space, or name another folder with --out"


def read_only(folder: Path) -> str | None:
    """Return a message if a folder is on a read-only mount; None otherwise."""
    try:
        if not os.statvfs(folder).f_flag & os.ST_RDONLY:
            return None
    except OSError:
        return None
    return f"{folder} is mounted read-only; mount it read-write, or name another folder with --out"


def disk_of(folder: Path) -> int | None:
    """Return the device number of a folder's file system; None if the folder does not exist."""
    try:
        return folder.stat().st_dev
    except OSError:
        return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
