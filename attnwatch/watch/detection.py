"""How a run learns of new videos: by file events, by scanning often, or by both; and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attnwatch.report.activity import Mode
from attnwatch.system.mounts import file_systems_below, parse_mountinfo, read_mountinfo
from attnwatch.watch.events import RootWatcher

POLL_INTERVAL = 10.0
"""Seconds between two scans, at most, where events do not tell everything."""


@dataclass(frozen=True)
class Way:
    """A mode, and the reason for it in words."""

    mode: Mode
    reason: str

    def interval(self, asked: float) -> float:
        """Return the seconds between two scans, of which a user asked for so many."""
        return asked if self.mode == "events" else min(asked, POLL_INTERVAL)


def way_to_learn(roots: Sequence[Path], watcher: RootWatcher | None, folders: int) -> Way:
    """Decide how the videos below some folders are found.

    Args:
        roots: the folders.
        watcher: what watches them; None if file events are switched off.
        folders: number of folders that the last scan came across, 0 before the first.

    """
    if watcher is None:
        return Way("polling", "file events are switched off (file_events: false)")
    if watcher.failures:
        return Way("polling", "; ".join(f"{root}: {reason}" for root, reason in watcher.failures.items()))
    if watcher.misses_some_of(folders):
        return Way("events and polling", "not every folder can be watched; raise fs.inotify.max_user_watches")
    mounts = parse_mountinfo(read_mountinfo())
    systems = dict.fromkeys(system for root in roots for system in file_systems_below(root, mounts) if system.polled)
    if systems:
        return Way("events and polling", "; ".join(f"{system.mount_point}: {system.reason}" for system in systems))
    return Way("events", "file events tell of every change")
