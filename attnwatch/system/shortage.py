"""Detects exhausted disks and process limits; failures they cause do not count as attempts of a video."""

import errno
import os
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from attnwatch.system.sizes import size_text

_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_MACHINE = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN})


class Shortage(Enum):
    """The exhausted resource: space on a disk, or files and processes of the machine."""

    DISK = "disk"
    MACHINE = "machine"


def shortage_behind(error: BaseException) -> Shortage | None:
    """Return the shortage that caused an error; None if it has another cause."""
    for cause in _chain(error):
        number = getattr(cause, "errno", None)
        if number in _DISK:
            return Shortage.DISK
        if number in _MACHINE:
            return Shortage.MACHINE
    return None


def free_space(folder: Path) -> int | None:
    """Return the free bytes on the disk of a folder; None if the system does not report them."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def lack_of_space(folder: Path, least: int) -> str | None:
    """Return why fewer than `least` bytes can be written to the disk of a folder; None if there is enough space."""
    if (found := read_only(folder)) is not None:
        return found
    left = free_space(folder)
    if left is None or left >= least:
        return None
    return f"the disk of {folder} is full ({size_text(left)} left, min_free_space is {size_text(least)})"


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
        current = current.__cause__ or current.__context__
