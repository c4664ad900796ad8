"""What the trouble of one worker of a cluster means here: nothing about the video, and nothing about other workers."""

from dataclasses import replace

from attnwatch.jobs.work import Result
from attnwatch.system.shortage import Shortage

_LOOKS = 7
"""Looks at a video, in about a minute: by then, every machine sees what was written to a network file system, and one
that has room for temporary files was asked, if there is any."""


def judged(result: Result, looks: int) -> Result:
    """Return what a worker's result means for the watcher.

    Args:
        result: as the worker has it. The watcher itself had seen that all files of the video are there.
        looks: number of earlier looks at the video.

    """
    if result.receipt is not None or result.busy or result.starved:
        return result
    may_pass = result.shortage in (None, Shortage.TEMPORARY) and looks < _LOOKS
    if result.shortage is Shortage.MACHINE or may_pass:
        return replace(result, shortage=None, lost=True)
    return result
