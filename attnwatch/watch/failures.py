"""Receipts that the watcher writes itself: for jobs that ended without one, and for manifests that it refuses."""

import hashlib

from attnwatch.batches.videos import home_of
from attnwatch.contract.fingerprint import Fingerprint
from attnwatch.contract.receipts import Place, describe, failure, record_content, seconds_until_due
from attnwatch.contract.stamps import stamp_of
from attnwatch.errors import AttnwatchError, BusyError
from attnwatch.jobs.work import Result, obstructed
from attnwatch.settings import Watcher
from attnwatch.system.folders import Folder
from attnwatch.system.locks import exclusive
from attnwatch.system.refusals import in_words
from attnwatch.watch.task import Task


def record_crash(task: Task, seconds: float, error: AttnwatchError, limits: Watcher) -> Result:
    """Write the receipt of a job that was killed, crashed or ran out of time before it could, or was never started.

    Args:
        task: what the job was started for.
        seconds: how long it ran.
        error: how it ended.
        limits: how often a video is tried.

    """
    content = record_content(task.basis.stamps, {})
    try:
        with _folder_of(task.place) as folder, exclusive(folder, task.place.video_id):
            stored = task.place.look()
            if stored.sha256 != task.stored.sha256:  # written by the job just before it ended, or by another one
                return Result(stored.receipt, None if stored.receipt else f"{task.place.path} was replaced or removed")
            receipt = failure(task.place, task.fingerprint, error, seconds, limits, content=content)
            task.place.write(receipt)
    except BusyError as problem:
        return obstructed(problem)
    except OSError as problem:
        return Result(None, f"{error}; and its receipt cannot be written: {in_words(problem)}")
    return Result(receipt)


def refusal(place: Place, problem: AttnwatchError) -> Fingerprint:
    """Return the fingerprint of a receipt that says why a manifest cannot be rendered.

    It is the same wherever the folder of the video is mounted, or moved to.
    """
    return _fingerprint(_reason(place, problem))


def _fingerprint(reason: str) -> Fingerprint:
    return Fingerprint(hashlib.sha256(reason.encode()).hexdigest(), {}, {})


def _reason(place: Place, problem: AttnwatchError) -> str:
    return describe(problem, home_of(place.manifest))


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
    stored, reason = place.look(), _reason(place, problem)
    receipt = stored.receipt
    if stored.problem is not None or (recorded and receipt is not None and receipt.status == "failed"):
        return
    # Until 0.2.0, the folder was part of the reason.
    if any(seconds_until_due(receipt, _fingerprint(text)) != 0 for text in (reason, describe(problem))):
        return
    once = limits.model_copy(update={"max_attempts": 1})
    place.write(failure(place, _fingerprint(reason), AttnwatchError(reason), 0.0, once))


def _folder_of(place: Place) -> Folder:
    """Open the folder of the outputs. In a folder of their own, those above may be missing: no job has made them yet.

    If the video has been deleted, they are not made: its own folders must not come back.
    """
    return place.open(create=True, parents=stamp_of(place.manifest) is not None)
