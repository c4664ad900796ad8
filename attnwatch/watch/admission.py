"""Admits targets to the backlog: when each is due, its place among the others, and how many threads its job gets."""

import time
from collections.abc import Iterable

from attnwatch.batches.targets import Target
from attnwatch.settings import Watcher
from attnwatch.watch.backlog import Backlog, Waiting
from attnwatch.watch.decision import NotYet, Render
from attnwatch.watch.task import Task


def enqueue(backlog: Backlog, decision: Render | NotYet, *, oldest_first: bool) -> None:
    """Queue a target that was decided about, unless it waits already and nothing has changed."""
    task, seconds = decision.task, decision.seconds if isinstance(decision, NotYet) else 0.0
    due = time.monotonic() + seconds
    waiting = backlog.get(task.target)
    # Incomplete files are looked at with increasing delays, unless they have become complete in between. What only a
    # job finds out, such as a lock that cannot be opened, does not change because a scan finds the same files again.
    came = waiting is not None and waiting.since is not None and waiting.tried != state_of(task) and _is_ready(task)
    if waiting is None or (due < waiting.due and (came or waiting.since is None or seconds > 0)):
        backlog.put(Waiting(task.target, due, _order(task, oldest_first=oldest_first)))


def state_of(task: Task) -> int:
    """Return a number that changes whenever a file of the video does."""
    return hash((*task.basis.origins, *task.basis.stamps.values()))


def _is_ready(task: Task) -> bool:
    return task.obstacle(video_may_be_absent=False) is None


def threads_for(backlog: Backlog, running: int, settings: Watcher) -> int:
    """Return how many outputs a new job may encode at once: more than one if workers would be idle."""
    others = backlog.due(time.monotonic(), settings.workers) + running
    return max(1, settings.workers // (others + 1))


def at_once(slots: int | None, settings: Watcher) -> int:
    """Return how many jobs may run at the same time: as many as a cluster takes, unless the user has set `workers`."""
    if slots is None:
        return settings.workers
    return min(slots, settings.workers) if "workers" in settings.model_fields_set else slots


def beside_in_batch(target: Target, running: Iterable[Target]) -> Target | None:
    """Return a target of the same collection that is being rendered; None if there is none."""
    return next((other for other in running if target.batch is not None and other.batch == target.batch), None)


def _order(task: Task, *, oldest_first: bool) -> float:
    """Return the place in the backlog: by default, the video that was finished last comes first."""
    stamp = task.basis.origins[0]
    written = 0 if stamp is None else stamp.modified
    return written if oldest_first else -written
