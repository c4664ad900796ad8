"""Takes account of what has come of jobs: counts it, records it, reports it, and says whether it ends the run."""

import logging
from pathlib import Path

from attnwatch.batches.targets import Target
from attnwatch.config import Settings
from attnwatch.contract.documents import ReceiptDocument
from attnwatch.errors import NotReadyError
from attnwatch.jobs.work import Result
from attnwatch.report.log import counted, when
from attnwatch.report.reporter import Report
from attnwatch.system.shortage import Shortage, disk_of
from attnwatch.watch.failures import record_crash
from attnwatch.watch.ledger import Ledger
from attnwatch.watch.options import Options
from attnwatch.watch.task import Task

_log = logging.getLogger(__name__)


class Results:
    """The results of one run.

    Args:
        settings: merged settings.
        options: what this run was asked to do.
        ledger: remembers what was rendered.
        report: receives the events.

    Attributes:
        rendered: number of videos rendered.
        failed: targets whose rendering failed.
        gives_up: a failure has occurred that must end the run.

    """

    def __init__(self, settings: Settings, options: Options, ledger: Ledger, report: Report) -> None:
        self._settings = settings
        self._options = options
        self._ledger = ledger
        self._report = report
        self.rendered = 0
        self.failed: set[Target] = set()
        self.gives_up = False
        self._short: dict[tuple[Shortage, int | None], list[tuple[Path, str]]] = {}

    def reload(self, settings: Settings) -> None:
        """Use other settings from now on."""
        self._settings = settings

    def take_refusal(self) -> None:
        """Take account of a manifest that is refused."""
        self.gives_up |= self._ends_at_failure

    def take_receipt(self, task: Task, result: Result, receipt: ReceiptDocument) -> None:
        """Take account of the receipt that a job has written."""
        if receipt.status == "failed":
            self._take_failure(task, receipt)
            return
        self.failed.discard(task.target)
        self._ledger.note_receipt(task, receipt)
        if not result.unchanged:
            self.rendered += receipt.status == "rendered"
            self._report.took(result.stages)
            self._report.rendered(task.target, task.place, receipt, linked=result.linked)

    def take_obstacle(self, task: Task, result: Result, folder: Path) -> None:
        """Take account of a video that a single run could not try, and will not try again.

        The receipt says why, unless the reason is not the video's. What other videos lack, too, is told by `close`.

        Args:
            task: what the job was, or would have been, started for.
            result: with the obstacle.
            folder: one on the disk that the outputs are written to.

        """
        obstacle = result.obstacle or "no reason is known"
        if result.shortage is not None:
            what = (result.shortage, disk_of(folder) if result.shortage is Shortage.DISK else None)
            self._short.setdefault(what, []).append((task.target.manifest, obstacle))
            self._note_failed(task)
            return
        if not result.starved:
            result = record_crash(task, 0.0, NotReadyError(obstacle), self._settings.watcher)
        if result.receipt is not None and result.receipt.status == "failed":
            self._take_failure(task, result.receipt)
            return
        self._note_failed(task)
        _log.error("❌ %s: %s", task.place.video_id, obstacle)

    def close(self) -> None:
        """Tell, at the end of a single run, what has run out, once for each disk, and how many videos that concerns."""
        for lacking in self._short.values():
            videos = len({manifest for manifest, _ in lacking})
            _, obstacle = lacking[0]
            _log.error("%s not rendered: %s; then run the command again", counted(videos, "video"), obstacle)

    def _take_failure(self, task: Task, receipt: ReceiptDocument) -> None:
        self._ledger.decisions.note_failed(task.target)
        then = f"{self._options.retry_command(task.target)} tries again"
        if receipt.next_attempt is not None and not self._options.once:
            then = f"next attempt {when(receipt.next_attempt)}"
        self._report.failed(task.target, task.place, receipt, then)
        self._note_failed(task)

    def _note_failed(self, task: Task) -> None:
        self.failed.add(task.target)
        self._ledger.left_out.matched = True
        # A batch may ask to end a run of its own at a failure, but not a watcher that others rely on.
        asked = task.settings.fail_on_visualization_error
        self.gives_up |= asked and (self._ends_at_failure or self._options.once)

    @property
    def _ends_at_failure(self) -> bool:
        """Whether the watcher's own configuration ends it at the first failure."""
        return bool(self._settings.visualization.get("fail_on_visualization_error"))
