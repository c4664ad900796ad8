"""Reads the kernel's limits for file events and how much of them this user has in use, see inotify(7)."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NAMES = ("max_user_watches", "max_user_instances", "max_queued_events")
_LIMITS = Path("/proc/sys/fs/inotify")
_PROCESSES = Path("/proc")


@dataclass(frozen=True)
class Inotify:
    """Limits per user, and their use by all processes of this user.

    Attributes:
        max_watches: limit of watched folders.
        max_instances: limit of inotify instances.
        max_queued: limit of unread events per instance.
        watches: folders being watched.
        instances: inotify instances in use.

    """

    max_watches: int
    max_instances: int
    max_queued: int
    watches: int
    instances: int


def read_inotify() -> Inotify | None:
    """Return limits and use; None if the limits cannot be read."""
    try:
        watches, instances, queued = (int((_LIMITS / name).read_text()) for name in _NAMES)
    except (OSError, ValueError):
        return None
    used = [number for process in _own_processes() for number in _instances(process)]
    return Inotify(watches, instances, queued, watches=sum(used), instances=len(used))


def _own_processes() -> Iterator[Path]:
    for process in _PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == os.geteuid():
                yield process


def _instances(process: Path) -> Iterator[int]:
    """Yield the number of watched folders for each inotify instance of a process."""
    try:
        links = list((process / "fd").iterdir())
    except OSError:
        return
    for link in links:
        with contextlib.suppress(OSError):
            if os.readlink(link) == "anon_inode:inotify":  # noqa: PTH115 - no path, so no Path
                info = (process / "fdinfo" / link.name).read_bytes()
                yield sum(line.startswith(b"inotify ") for line in info.splitlines())
