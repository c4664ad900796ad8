"""What can run out on a machine. No video is to blame for that, so it costs none of them an attempt."""

import errno
import os
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from attnwatch.system.sizes import size_text

_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_MACHINE = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN})


class Shortage(Enum):
    """What has run out: what a file system takes, or what the machine gives to processes."""

    DISK = "disk"
    MACHINE = "machine"


def shortage_behind(error: BaseException) -> Shortage | None:
    """Return what ran out, if that is why an error was raised."""
    for cause in _chain(error):
        number = getattr(cause, "errno", None)
        if number in _DISK:
            return Shortage.DISK
        if number in _MACHINE:
            return Shortage.MACHINE
    return None


def free_space(folder: Path) -> int | None:
    """Return the bytes that may still be written below a folder; None where the system does not say."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def lack_of_space(folder: Path, least: int) -> str | None:
    """Return why less may be written at a folder than there must be room for, in words; None if there is enough."""
    if (found := read_only(folder)) is not None:
        return found
    left = free_space(folder)
    if left is None or left >= least:
        return None
    return f"the disk of {folder} is full ({size_text(left)} left, min_free_space is {size_text(least)})"


def read_only(folder: Path) -> str | None:
    """Return that nobody may write at a folder, in words; None where the system does not say so."""
    try:
        if not os.statvfs(folder).f_flag & os.ST_RDONLY:
            return None
    except OSError:
        return None
    return f"{folder} is mounted read-only; mount it read-write, or name another folder with --out"


def disk_of(folder: Path) -> int | None:
    """Return the number of the file system that a folder is on; None where there is no such folder."""
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
