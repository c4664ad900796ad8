"""What the trouble of one worker of a cluster means here: nothing about the video, and nothing about other workers."""

from dataclasses import replace

from attnwatch.jobs.work import Result
from attnwatch.system.shortage import Shortage

_LOOKS = 7
"""Looks at a video, in about a minute: by then, every machine sees what was written to a network file system."""


def judged(result: Result, looks: int) -> Result:
    """Return what a worker's result means for the watcher.

    Args:
        result: as the worker has it. The watcher itself had seen that all files of the video are there.
        looks: number of earlier looks at the video.

    """
    if result.receipt is not None or result.busy or result.starved:
        return result
    if result.shortage is Shortage.MACHINE or (result.shortage is None and looks < _LOOKS):
        return replace(result, shortage=None, lost=True)
    return result
