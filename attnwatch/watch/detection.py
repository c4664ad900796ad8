"""Chooses how new videos are detected (file events, polling or both) and says why."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attnwatch.report.activity import Mode
from attnwatch.system.inotify import Inotify, read_inotify
from attnwatch.system.mounts import file_systems_below, parse_mountinfo, read_mountinfo
from attnwatch.watch.events import RootWatcher

POLL_INTERVAL = 10.0
"""Most seconds between two scans where file events may miss something."""

_NEARLY = 0.99  # share of the watches in use at which they count as used up: some are released at any moment


@dataclass(frozen=True)
class Detection:
    """A mode of detection, and the reason for it."""

    mode: Mode
    reason: str

    def interval(self, asked: float) -> float:
        """Return the seconds between two scans, given the `rescan_interval` that was asked for."""
        return asked if self.mode == "events" else min(asked, POLL_INTERVAL)


def choose_detection(roots: Sequence[Path], watcher: RootWatcher | None, folders: int) -> Detection:
    """Choose how videos below some folders are detected.

    Args:
        roots: the folders.
        watcher: source of their file events; None if file events are switched off.
        folders: number of folders in the last scan; 0 before the first.

    """
    if watcher is None:
        return Detection("polling", "file events are switched off (file_events: false)")
    if watcher.failures:
        return Detection("polling", "; ".join(f"{root}: {reason}" for root, reason in watcher.failures.items()))
    if watcher.misses_some_of(folders):
        return Detection("events and polling", _why_not_all_are_watched(read_inotify()))
    mounts = parse_mountinfo(read_mountinfo())
    systems = dict.fromkeys(system for root in roots for system in file_systems_below(root, mounts) if system.polled)
    if systems:
        return Detection(
            "events and polling", "; ".join(f"{system.mount_point}: {system.reason}" for system in systems)
        )
    return Detection("events", "file events report every change")


def _why_not_all_are_watched(inotify: Inotify | None) -> str:
    if inotify is None or inotify.watches >= _NEARLY * inotify.max_watches:
        return "not every folder can be watched; raise fs.inotify.max_user_watches"
    in_use = f"{inotify.watches:,} of {inotify.max_watches:,} watches are in use"
    return f"not every folder is watched, although {in_use}; allow the watcher's user to read them (`attnwatch doctor`)"
