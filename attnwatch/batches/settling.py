"""Decides when a video without a completion marker is finished: when its files have not changed for a while."""

import time
from collections.abc import Iterable

from attnwatch.contract.manifest import Manifest
from attnwatch.contract.stamps import Stamp
from attnwatch.settings import Watcher


def quiet_time(manifest: Manifest, settings: Watcher) -> float:
    """Return how many seconds the files of a video must stay unchanged before it counts as finished."""
    times = {"manifest": 0.0, "summary": settings.settle_time, "quiet": settings.settle_time_unmarked}
    return times[manifest.finished_by]


def seconds_since(stamps: Iterable[Stamp | None]) -> float:
    """Return the seconds since the latest change of any file or folder; negative if that lies in the future.

    Folders count because a copy that preserves times sets those of a folder last.
    """
    times = [stamp.modified for stamp in stamps if stamp is not None]
    return time.time() - max(times) / 1e9 if times else float("inf")


class Settling:
    """Tracks how much longer the files of each video must stay unchanged.

    If a file system's clock is ahead of this machine's, modification times are useless. A video then counts as finished
    once its files have been observed unchanged for the same time.
    """

    def __init__(self) -> None:
        self._seen: dict[object, tuple[int, float]] = {}

    def remaining(self, key: object, quiet: float, stamps: Iterable[Stamp | None]) -> float:
        """Return the seconds until a video is finished, if nothing changes until then; 0 if it is finished."""
        current = tuple(stamps)
        age = seconds_since(current)
        if age >= quiet:
            self._seen.pop(key, None)
            return 0.0
        state, now = hash(current), time.monotonic()
        known = self._seen.get(key)
        if known is None or known[0] != state:
            self._seen[key] = known = (state, now)
        left = quiet - (age if age >= 0 else now - known[1])
        if left <= 0:
            self._seen.pop(key, None)
        return max(0.0, left)
