"""What a run says: a line per output, one per video, one per cause of trouble."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from attnwatch.documents import ReceiptDocument
from attnwatch.log import counted
from attnwatch.plan import Task, retry_command

_log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


class Report:
    """Tells the log, and whoever shows progress.

    Args:
        progress: is told the number of renderings done, and of those known.

    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0

    def hello(self, roots: Sequence[Path], videos: int, up_to_date: int, workers: int, *, once: bool) -> None:
        """Say, after the first scan, what there is to do."""
        verb = "rendering" if once else "watching"
        counts = f"{counted(videos, 'video')} to render, {up_to_date} up to date"
        _log.info("%s %s: %s, %d at a time", verb, ", ".join(map(str, roots)), counts, workers)

    def rendered(self, task: Task, receipt: ReceiptDocument) -> None:
        """Say what a video has become."""
        self._done += 1
        for output in receipt.outputs:
            _log.info("✅ Generated attention video: %s", output.file)
        notes = "".join(f"; {note}" for note in receipt.notes)
        seconds = receipt.attempts[-1].seconds
        outputs = counted(len(receipt.outputs), "output")
        where = "" if task.target.batch is None else f" in the collection of {task.target.batch.name}"
        _log.info("%s: %s%s in %.1f s%s", receipt.video_id, outputs, where, seconds, notes)

    def failed(self, task: Task, receipt: ReceiptDocument, *, once: bool) -> None:
        """Say why a video could not be rendered, and what comes next."""
        tried = f"attempt {len(receipt.attempts)}"
        if receipt.next_attempt is None or once:
            then = f"{retry_command(task.target)} tries again"
        else:
            then = f"next attempt at {receipt.next_attempt}"
        _log.error("❌ %s (%s): %s; %s", receipt.video_id, tried, receipt.attempts[-1].error, then)

    def progress(self, left: int) -> None:
        """Say how much is left."""
        self._progress(self._done, self._done + left)

    def stopping(self, running: int, seconds: float) -> None:
        """Say that a signal came."""
        jobs = f": {counted(running, 'running job')} may take {seconds:g} s to finish" if running else ""
        _log.info("stopping%s", jobs)
