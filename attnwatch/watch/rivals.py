"""Notices other watchers of the same folders that ask for other pictures: two of them would replace each other's.

One of the two yields: it starts nothing as long as the other one is alive. Of two watchers of the same folder, that is
the one that was started later; of two folders, one in the other, the watcher of the inner one. Watchers with the same
settings share the work instead.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from attnwatch.config import Settings
from attnwatch.report.activity import HEARTBEAT, SILENT_AFTER, Activity, read_activities
from attnwatch.settings import NOT_IN_PICTURES
from attnwatch.watch.options import Options

_OFTEN = 2.0  # seconds between two looks while this watcher is young, or yields
_YOUNG = 3 * HEARTBEAT


class Rivals:
    """Looks for rivals in activity files, which this watcher publishes too.

    Args:
        settings: merged settings.
        options: what this run was asked to do.
        activity: of this watcher.

    """

    def __init__(self, settings: Settings, options: Options, activity: Activity) -> None:
        self._options = options
        self._activity = activity
        self._young_until = time.monotonic() + _YOUNG
        self._next_look = 0.0
        self._reason: str | None = None
        self._heard: dict[tuple[str, int], tuple[str, float]] = {}
        activity.batch = options.batch
        activity.out = None if options.out is None else str(options.out)
        self.reload(settings)

    def reload(self, settings: Settings) -> None:
        """Use other settings."""
        shaping = {name: value for name, value in settings.visualization.items() if name not in NOT_IN_PICTURES}
        tokens = None if self._options.tokens is None else sorted(self._options.tokens)
        text = json.dumps([shaping, tokens], sort_keys=True, default=str)
        self._activity.settings = hashlib.sha256(text.encode(errors="replace")).hexdigest()
        self._next_look = 0.0

    def look(self) -> str | None:
        """Return why this watcher yields; None if it need not. Cheap enough to call in every turn of the loop."""
        now = time.monotonic()
        if not self._options.once and now >= self._next_look:
            self._reason = next((_reason(other) for other in self._listen(now) if self._is_heard(other, now)), None)
            self._next_look = now + (_OFTEN if self._reason or now < self._young_until else HEARTBEAT)
        return self._reason

    def _listen(self, now: float) -> list[Activity]:
        """Return the rivals to yield to, and note since when each has said the same."""
        winners = list(self._winners())
        before, self._heard = self._heard, {}
        for other in winners:
            heartbeat, since = before.get(_identity(other), (None, now))
            self._heard[_identity(other)] = other.heartbeat, since if heartbeat == other.heartbeat else now
        return winners

    def _is_heard(self, other: Activity, now: float) -> bool:
        """Return whether its updates go on by this watcher's clock: by its own, they might be from the future."""
        return now - self._heard[_identity(other)][1] <= SILENT_AFTER

    def _winners(self) -> Iterator[Activity]:
        places = self._options.roots if self._options.out is None else (self._options.out,)
        for place in places:
            for other in filter(self._is_rival, read_activities(place, trusted=True)):
                if _seniority(other) < _seniority(self._activity):
                    yield other
        if self._options.out is None:
            around = (folder for root in self._options.roots for folder in root.parents)
            for folder in dict.fromkeys(around):
                for other in filter(self._is_rival, read_activities(folder, trusted=True)):
                    if not self._is_outside_of(other) or _seniority(other) < _seniority(self._activity):
                        yield other

    def _is_outside_of(self, other: Activity) -> bool:
        """Return whether a folder of the other watcher is inside of one of this one, so that it might yield too."""
        return any(Path(theirs).is_relative_to(root) for theirs in other.roots for root in self._options.roots)

    def _is_rival(self, other: Activity) -> bool:
        mine = self._activity
        if _identity(other) == _identity(mine) or other.silent or None in (other.settings, mine.settings):
            return False
        # With patterns, two watchers may share a folder on purpose.
        same_videos = other.batch == mine.batch and other.out == mine.out
        same_roots = mine.out is None or bool(set(other.roots) & set(mine.roots))
        return same_videos and same_roots and other.settings != mine.settings


def _identity(activity: Activity) -> tuple[str, int]:
    return activity.host, activity.pid


def _seniority(activity: Activity) -> tuple[float, str, int]:
    try:
        started = datetime.fromisoformat(activity.started).timestamp()
    except (ValueError, OverflowError):
        started = float("inf")
    return started, activity.host, activity.pid


def _reason(other: Activity) -> str:
    return (
        f"another watcher renders this tree with other settings (pid {other.pid} on {other.host}); stop one of them, "
        "give both the same settings, or separate them: other folders, --batch or --out"
    )
