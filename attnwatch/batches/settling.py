"""Older batches have no marker that comes last: a video of theirs is finished when its files have been left alone."""

import time
from collections.abc import Iterable

from attnwatch.contract.manifest import Manifest
from attnwatch.contract.stamps import Stamp
from attnwatch.settings import Watcher


def quiet_time(manifest: Manifest, settings: Watcher) -> float:
    """Return for how many seconds the files of a video must not have changed before it is finished."""
    times = {"manifest": 0.0, "summary": settings.settle_time, "quiet": settings.settle_time_unmarked}
    return times[manifest.finished_by]


def seconds_since(stamps: Iterable[Stamp | None]) -> float:
    """Return how long ago the latest of some files and folders was changed; negative: in the future.

    Whoever copies an older batch and keeps its times sets those of a folder last, so they count.
    """
    times = [stamp.modified for stamp in stamps if stamp is not None]
    return time.time() - max(times) / 1e9 if times else float("inf")


class Settling:
    """Tells how long a video still has to be left alone.

    Where the clock of a file system is ahead of this machine's, times tell nothing: then what is seen to stay the same
    for as long is finished too.
    """

    def __init__(self) -> None:
        self._seen: dict[object, tuple[int, float]] = {}

    def remaining(self, key: object, quiet: float, stamps: Iterable[Stamp | None]) -> float:
        """Return in how many seconds a video is finished if nothing changes until then; 0: it is."""
        looked = tuple(stamps)
        age = seconds_since(looked)
        if age >= quiet:
            self._seen.pop(key, None)
            return 0.0
        state, now = hash(looked), time.monotonic()
        known = self._seen.get(key)
        if known is None or known[0] != state:
            self._seen[key] = known = (state, now)
        left = quiet - (age if age >= 0 else now - known[1])
        if left <= 0:
            self._seen.pop(key, None)
        return max(0.0, left)
