"""Decides when a video is finished whose completion marker is missing, or older than its files.

It is finished when its files have not changed for a while.
"""

import time
from collections.abc import Iterable, Mapping

from attnwatch.contract.manifest import Manifest
from attnwatch.contract.stamps import Stamp
from attnwatch.settings import Watcher


def quiet_time(manifest: Manifest, settings: Watcher) -> float:
    """Return how many seconds the files of a video must stay unchanged before it counts as finished."""
    times = {"manifest": 0.0, "summary": settings.settle_time, "quiet": settings.settle_time_unmarked}
    return times[manifest.finished_by]


def may_still_grow(manifest: Manifest, written: Stamp | None, stamps: Mapping[str, Stamp | None]) -> bool:
    """Return whether a file may be incomplete although there is a manifest, which is meant to be written last.

    A copy that is made in place writes the files of a folder in any order. If a manifest lists the size of a file, that
    says whether the file is complete; otherwise, being newer than the manifest speaks against it.

    Args:
        manifest: the manifest.
        written: its stamp.
        stamps: those of the files that it names, by relative path.

    """
    if written is None or manifest.finished_by != "manifest":
        return False
    unlisted = (stamp for name, stamp in stamps.items() if stamp is not None and name not in manifest.document.files)
    return any(stamp.modified > written.modified for stamp in unlisted)


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
