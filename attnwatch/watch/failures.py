"""Receipts that the watcher writes itself: for jobs that ended without one, and for manifests that it refuses."""

import hashlib

from attnwatch.contract.receipts import Fingerprint, Place, describe, failure, record_content, seconds_until_due
from attnwatch.errors import AttnwatchError, BusyError, JobError
from attnwatch.jobs.work import Result, obstructed
from attnwatch.settings import Watcher
from attnwatch.system.locks import exclusive
from attnwatch.watch.task import Task


def record_crash(task: Task, seconds: float, error: JobError, limits: Watcher) -> Result:
    """Write the receipt of a job that was killed, crashed or ran out of time before it could.

    Args:
        task: what the job was started for.
        seconds: how long it ran.
        error: how it ended.
        limits: how often a video is tried.

    """
    content = record_content(task.basis.stamps, {})
    try:
        with exclusive(task.place.directory, task.place.video_id):
            if (written := task.place.read()) != task.receipt:  # by the job just before it ended, or by another one
                return Result(written)
            receipt = failure(task.place, task.fingerprint, error, seconds, limits, content=content)
            task.place.write(receipt)
    except BusyError as problem:
        return obstructed(problem)
    except OSError as problem:
        return Result(None, f"{error}; and its receipt cannot be written: {problem}")
    return Result(receipt)


def refusal(problem: AttnwatchError) -> Fingerprint:
    """Return the fingerprint of a receipt that says why a manifest cannot be rendered."""
    return Fingerprint(hashlib.sha256(describe(problem).encode()).hexdigest(), {}, {})


def record_refusal(place: Place, problem: AttnwatchError, limits: Watcher, *, recorded: bool) -> None:
    """Write a receipt that says why a manifest cannot be rendered, unless the receipt says so already.

    Args:
        place: of the receipt.
        problem: what is wrong with the manifest.
        limits: of the watcher.
        recorded: this run has recorded it before. Any receipt of a failure is then kept: a watcher of another version
            may word the problem differently, and the two must not replace each other's receipts for ever.

    Raises:
        OSError: the folder is read-only or full.

    """
    receipt, fingerprint = place.read(), refusal(problem)
    if recorded and receipt is not None and receipt.status == "failed":
        return
    if seconds_until_due(receipt, fingerprint) != 0:
        return
    once = limits.model_copy(update={"max_attempts": 1})
    place.write(failure(place, fingerprint, problem, 0.0, once))
