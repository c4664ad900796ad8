"""The backlog: targets that wait to be rendered, until they are due or released."""

import heapq
import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path

from attnwatch.batches.targets import Target


@dataclass
class Waiting:
    """A target in the backlog.

    Attributes:
        target: what to render.
        due: monotonic time from which it may be started.
        order: its place among due targets; lower comes first.
        since: monotonic time at which its files were first found incomplete; None if they never were.
        looks: number of times that it could not be tried.
        tried: state of its files when a job found that it could not go on; None if no job was started.
        found: monotonic time at which it was first queued.

    """

    target: Target
    due: float = 0.0
    order: float = 0.0
    since: float | None = None
    looks: int = 0
    tried: int | None = None
    found: float = field(default_factory=time.monotonic)


@dataclass
class Backlog:
    """Targets that wait until they are due, and then for their turn: by order, then by arrival."""

    _waiting: dict[Target, Waiting] = field(default_factory=dict)
    _held: dict[Target | int, list[Waiting]] = field(default_factory=dict)
    _queue: list[tuple[float, int, Waiting]] = field(default_factory=list)
    _due: list[tuple[float, float, int, Waiting]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def __len__(self) -> int:
        """Return the number of targets, including those held back."""
        return len(self._waiting)

    def __contains__(self, target: Target) -> bool:
        """Return whether a target waits."""
        return target in self._waiting

    def get(self, target: Target) -> Waiting | None:
        """Return a target's entry; None if it does not wait."""
        return self._waiting.get(target)

    def age(self) -> float | None:
        """Return the seconds since the oldest target was added; None if there is none."""
        found = min((waiting.found for waiting in tuple(self._waiting.values())), default=None)
        return None if found is None else time.monotonic() - found

    def videos(self) -> int:
        """Return the number of videos among the targets."""
        return len({target.manifest for target in self._waiting})

    def put(self, waiting: Waiting) -> None:
        """Add a target, or replace its entry; it has waited since it was first added."""
        if (before := self._waiting.get(waiting.target)) is not None:
            waiting.found = min(before.found, waiting.found)
        self._waiting[waiting.target] = waiting
        heapq.heappush(self._queue, (waiting.due, next(self._numbers), waiting))

    def pop_due(self, now: float) -> Waiting | None:
        """Remove and return the next due target; None if none is due."""
        while self._queue and self._queue[0][0] <= now:
            due, number, waiting = heapq.heappop(self._queue)
            heapq.heappush(self._due, (waiting.order, due, number, waiting))
        while self._due:
            waiting = heapq.heappop(self._due)[3]
            if self._is_queued(waiting):
                del self._waiting[waiting.target]
                return waiting
        return None

    def discard(self, target: Target) -> None:
        """Remove a target."""
        self._waiting.pop(target, None)

    def hold(self, waiting: Waiting, until: Target | int) -> None:
        """Hold a target back until another target, or a disk, is released."""
        self._waiting[waiting.target] = waiting
        self._held.setdefault(until, []).append(waiting)

    def holds(self, until: Target | int) -> bool:
        """Return whether any target is held back for a target or a disk."""
        return any(map(self._is_queued, self._held.get(until, ())))

    def release(self, until: Target | int, most: int | None = None) -> None:
        """Release the targets that are held back for a target or a disk: all, or the first `most` of them."""
        held = [waiting for waiting in self._held.pop(until, ()) if self._is_queued(waiting)]
        for waiting in held[:most]:
            self.put(waiting)
        if most is not None and held[most:]:
            self._held[until] = held[most:]

    def due(self, now: float, most: int) -> int:
        """Return the number of targets that are due now, but at most `most`."""
        timed = (waiting for due, _, waiting in self._queue if due <= now)
        taken = (entry[3] for entry in self._due)  # the last `pop_due` took them out of the queue
        waiting = filter(self._is_queued, itertools.chain(taken, timed))
        return sum(1 for _ in itertools.islice(waiting, most))

    def next_due(self) -> float | None:
        """Return the monotonic time at which the next target is due; None if none is queued."""
        while self._due and not self._is_queued(self._due[0][3]):
            heapq.heappop(self._due)
        if self._due:
            return self._due[0][1]
        while self._queue and not self._is_queued(self._queue[0][2]):
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def soon(self, now: float) -> set[Path]:
        """Return the batches that have a collection to render which is due, or held back."""
        return {w.target.batch for w in self._waiting.values() if w.target.batch and w.since is None and w.due <= now}

    def _is_queued(self, waiting: Waiting) -> bool:
        return self._waiting.get(waiting.target) is waiting
