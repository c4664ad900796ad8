"""The receipt of a video whose job ended without a word: killed, crashed, or out of time."""

from attnwatch.contract.receipts import failure, record_content
from attnwatch.errors import BusyError, JobError
from attnwatch.jobs.work import Result, obstructed
from attnwatch.settings import Watcher
from attnwatch.system.locks import exclusive
from attnwatch.watch.task import Task


def record_crash(task: Task, seconds: float, error: JobError, limits: Watcher) -> Result:
    """Write the receipt for a job that could not write one itself."""
    content = record_content(task.stamps, {})
    try:
        with exclusive(task.place.directory, task.place.video_id):
            if (written := task.place.read()) != task.receipt:  # by the job, just before its end, or by another
                return Result(written)
            receipt = failure(task.place, task.fingerprint, error, seconds, limits, content=content)
            task.place.write(receipt)
    except BusyError as problem:
        return obstructed(problem)
    except OSError as problem:
        return Result(None, f"{error}; and its receipt cannot be written: {problem}")
    return Result(receipt)
