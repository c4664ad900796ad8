"""Renderings under way: started when they are due, put back, counted as done or as failed."""

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from attnwatch.batches.targets import Target
from attnwatch.config import Settings
from attnwatch.contract.documents import ReceiptDocument
from attnwatch.contract.names import BATCH_COMPLETE_FILE
from attnwatch.errors import JobError
from attnwatch.jobs.engine import Finished
from attnwatch.jobs.local import LocalEngine
from attnwatch.jobs.sheets import SheetJob, SheetResult, is_due
from attnwatch.jobs.video import Job, remove_leftovers
from attnwatch.jobs.work import Result, obstructed
from attnwatch.report.reporter import Report
from attnwatch.system.shortage import Shortage, lack_of_space
from attnwatch.watch.backlog import Backlog, Waiting
from attnwatch.watch.crash import record_crash
from attnwatch.watch.options import Options
from attnwatch.watch.pauses import Pauses
from attnwatch.watch.plan import Planner
from attnwatch.watch.task import Task

_log = logging.getLogger(__name__)

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0  # seconds between looks at a video that is not whole yet
_MOST_DOUBLINGS = 6
_PATIENCE = 30.0  # seconds after which a missing video is taken as absent for good


class Dispatcher:
    """Keeps the backlog, starts what is due as far as there are workers, and takes what comes back.

    Args:
        settings: merged settings.
        options: what this run is asked to do.
        planner: decides what is to be done for a target.
        engine: where jobs run.
        report: is told what happens.

    Attributes:
        rendered: number of videos rendered.
        failed: what could not be rendered.
        gives_up: a failure that is not to be survived has come.
        stopping: jobs that end from now on without a result may have been ended with the run.

    """

    def __init__(
        self, settings: Settings, options: Options, planner: Planner, engine: LocalEngine, report: Report
    ) -> None:
        self._settings = settings
        self._options = options
        self._planner = planner
        self._engine = engine
        self._report = report
        self._backlog = Backlog()
        self._pauses = Pauses(self._backlog, options.out)
        self._running: dict[Target, tuple[Task, Waiting]] = {}
        self._unchecked: set[Path] = set()  # batches whose contact sheets may be out of date
        self._drawing: set[Path] = set()
        self.rendered = 0
        self.failed: set[Target] = set()
        self.gives_up = False
        self.stopping = False

    @property
    def videos(self) -> int:
        """Number of videos that wait, run, or were rendered."""
        return self._backlog.videos() + len(self._running) + self.rendered

    @property
    def running(self) -> int:
        """Number of videos that are being rendered."""
        return len(self._running)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not (self._backlog or self._engine.running or self._unchecked)

    def reload(self, settings: Settings) -> None:
        """Go on with other settings; the scan that follows finds the collections that are still wanted."""
        self._settings = settings
        self._unchecked.clear()

    def tell(self) -> None:
        """Report how things stand."""
        self._report.runs(task.place for task, _ in self._running.values())
        self._report.beat(waiting=len(self._backlog), paused=self._pauses.reason)

    def consider(self, target: Target) -> None:
        """Queue a target if something is to be done for it."""
        if target in self._running or self._planner.is_settled(target):
            return
        refused = self._planner.refused
        task = self._planner.plan(target)
        if self._planner.refused > refused and self._survives_no_failure:
            self.gives_up = True
        if target.batch in self._planner.collections:
            self._unchecked.add(target.batch)
        if task is None:
            self._backlog.discard(target)
            self._backlog.release(target)
        else:
            self._queue(task)

    def start_due(self, *, searching: bool) -> None:
        """Start what is due; contact sheets only when it is known what belongs to them, so not while searching."""
        self._pauses.look(self._busy, self._settings.watcher.min_free_space)
        while self._may_start() and (waiting := self._pauses.pop_due(time.monotonic(), self._busy)) is not None:
            beside = Target(waiting.target.manifest)
            if waiting.target.batch is not None and self._is_imminent(beside):
                self._backlog.hold(waiting, beside)  # it may then only need a link
                continue
            # Planned again: since it was queued, another process may have rendered it, or its files have changed.
            task = self._planner.plan(waiting.target)
            if task is None:
                self._backlog.release(waiting.target)
            elif task.wait > 0:
                self._wait_again(task)
            else:
                self._start(task, waiting)
        if not searching:
            self._start_sheets()

    def next_start(self) -> float | None:
        """Return the monotonic time at which something may be started, None if nothing waits for its time."""
        if len(self._backlog) == 0:
            return None
        if not self._may_start():
            return self._pauses.machine.next_look(self._engine.running)
        times = (self._pauses.next_look(self._busy), self._backlog.next_due())
        return min((moment for moment in times if moment is not None), default=None)

    def take(self, finished: Iterable[Finished]) -> None:
        """Take what ended."""
        for ended in finished:
            if isinstance(ended.job, SheetJob):
                self._take_sheets(ended.job.batch, ended.outcome)
            elif isinstance(ended.job, Job):
                self._take_result(Target(ended.job.place.manifest, ended.job.batch), ended)

    @property
    def _survives_no_failure(self) -> bool:
        """Whether the watcher's own configuration ends it at the first failure."""
        return bool(self._settings.visualization.get("fail_on_visualization_error"))

    def _queue(self, task: Task) -> None:
        due = time.monotonic() + task.wait
        waiting = self._backlog.get(task.target)
        # One whose files were found incomplete is looked at again in its own rhythm, unless it has come by another.
        came = waiting is not None and waiting.since is not None and task.obstacle(video_may_be_absent=False) is None
        if waiting is None or (due < waiting.due and (came or waiting.since is None or task.wait > 0)):
            self._backlog.put(Waiting(task.target, due, self._order(task)))

    def _order(self, task: Task) -> float:
        """Put what was finished last first: whoever runs a batch waits for that, and for nothing older."""
        written = task.origins[0].modified if task.origins and task.origins[0] else 0
        return written if self._options.oldest_first else -written

    def _wait_again(self, task: Task) -> None:
        """Queue a target that was due, and is not any more; a run that is to end does not wait twice for a writer."""
        if self._options.once and task.manifest.finished_by != "manifest":
            self._planner.say(f"not rendered: {task.place.video_id} is not finished: its files are still changing")
            self._backlog.release(task.target)
        else:
            self._queue(task)

    def _may_start(self) -> bool:
        running = self._engine.running
        return running < self._settings.watcher.workers and self._pauses.machine.lets_start(running)

    @property
    def _busy(self) -> list[Target]:
        """What is being written."""
        return [*self._running, *map(_sheets, self._drawing)]

    def _is_imminent(self, target: Target) -> bool:
        waiting = self._backlog.get(target)
        return target in self._running or (waiting is not None and waiting.due <= time.monotonic())

    def _start(self, task: Task, waiting: Waiting) -> None:
        # The disk first: one that is mounted read-only is to be waited for, and no obstacle of this video alone.
        folder = self._pauses.folder_of(task.target)
        if (lack := lack_of_space(folder, self._settings.watcher.min_free_space)) is not None:
            self._put_back(task, waiting, Result(None, lack, shortage=Shortage.DISK))
            return
        patient = waiting.since is not None and time.monotonic() - waiting.since >= _PATIENCE
        absent = patient or self._options.once
        obstacle = task.obstacle(video_may_be_absent=absent)
        if obstacle is not None:
            self._put_back(task, waiting, Result(None, obstacle))
            return
        workers = self._settings.watcher.workers
        job = Job(
            place=task.place,
            seen=task.receipt,
            settings=task.settings,
            tokens=self._options.tokens,
            watcher=self._settings.watcher,
            video_may_be_absent=absent,
            threads=max(1, workers // (self._backlog.due(time.monotonic(), workers) + len(self._running) + 1)),
            batch=task.target.batch,
            batch_sha256=task.batch_sha256,
            recheck=task.recheck,
        )
        try:
            self._engine.start(job)
        except OSError as error:
            self._put_back(task, waiting, obstructed(error))
            return
        self._running[task.target] = (task, waiting)
        _log.debug("started %s", task.place.video_id)

    def _start_sheets(self) -> None:
        """Draw the contact sheets of batches whose collection is complete and has changed."""
        if not self._unchecked:
            return
        unfinished = self._backlog.soon(time.monotonic()) | {target.batch for target in self._running} | self._drawing
        for batch in sorted(self._unchecked - unfinished):
            if not self._may_start():
                return
            if self._pauses.in_the_way(_sheets(batch), self._busy) is not None:
                continue
            if is_due(directory := self._planner.collection_of(batch)):
                try:
                    self._engine.start(
                        SheetJob(batch, directory, self._planner.collections[batch], self._settings.watcher)
                    )
                except OSError as error:
                    self._pauses.begin(Shortage.MACHINE, str(error), _sheets(batch))
                    return
                self._drawing.add(batch)
            self._unchecked.discard(batch)

    def _take_sheets(self, batch: Path, outcome: object) -> None:
        self._drawing.discard(batch)
        if isinstance(outcome, SheetResult) and outcome.shortage is not None and not self._options.once:
            self._pauses.begin(outcome.shortage, outcome.error or "", _sheets(batch))
            if batch in self._planner.collections:  # not if other settings came while they were drawn
                self._unchecked.add(batch)
            return
        error = outcome.error if isinstance(outcome, SheetResult) else str(outcome)
        if error is not None and not self.stopping:
            self.failed.add(_sheets(batch))
            self._planner.say(f"{batch}: no contact sheets: {error}")
        if error is None:
            self._pauses.end(_sheets(batch))
        for file in outcome.files if isinstance(outcome, SheetResult) else ():
            _log.info("✅ Generated contact sheet: %s", file)

    def _take_result(self, target: Target, ended: Finished) -> None:
        task, waiting = self._running.pop(target)
        self._backlog.release(target)
        result = ended.outcome
        if isinstance(result, JobError):
            remove_leftovers(task.place)
            if self.stopping:
                return  # whoever stops the watcher may end its jobs with it: that is no failure of theirs
            result = record_crash(task, ended.seconds, result, self._settings.watcher)
        elif isinstance(result, OSError):
            result = obstructed(result)
        if not isinstance(result, Result):
            return
        if result.receipt is not None:
            self._take_receipt(task, result.receipt, unchanged=result.unchanged)
        else:
            self._put_back(task, waiting, result)

    def _take_receipt(self, task: Task, receipt: ReceiptDocument, *, unchanged: bool) -> None:
        self._pauses.end(task.target)
        if receipt.status == "failed":
            self._take_failure(task, receipt)
            return
        self.failed.discard(task.target)
        self._planner.note_rendered(task)
        if not unchanged:
            self.rendered += receipt.status == "rendered"
            self._report.rendered(task.target, task.place, receipt)
        if not self._options.once:
            self.consider(task.target)  # files or settings may have changed while it was rendered

    def _take_failure(self, task: Task, receipt: ReceiptDocument) -> None:
        self.failed.add(task.target)
        self._planner.note_failed(task)
        if receipt.next_attempt is None or self._options.once:
            then = f"{self._options.retry_command(task.target)} tries again"
        else:
            then = f"next attempt at {receipt.next_attempt}"
        self._report.failed(task.place, receipt, then)
        # A batch may ask for it in a run of its own; it does not end a watcher that others rely on.
        if task.settings.fail_on_visualization_error and (self._survives_no_failure or self._options.once):
            self.gives_up = True
        elif not self._options.once:
            self.consider(task.target)

    def _put_back(self, task: Task, waiting: Waiting, result: Result) -> None:
        """Look again later at a video that could not be tried: not whole, busy, or nothing left to render it with."""
        if self._options.once and not result.busy:
            self.failed.add(task.target)
            _log.error("❌ %s: %s", task.place.video_id, result.obstacle)
            return
        _log.debug("not yet: %s: %s", task.place.video_id, result.obstacle)
        now = time.monotonic()
        delay = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(waiting.looks, _MOST_DOUBLINGS))
        later = replace(waiting, due=now + delay, looks=waiting.looks + 1)
        if result.shortage is not None:
            self._pauses.begin(result.shortage, result.obstacle or "", task.target)
            self._backlog.put(later)  # behind the others: what is too large for a disk must not keep it from them
            return
        since = waiting.since or now
        if now - since >= _PATIENCE:
            message = f"still waiting for {task.place.video_id}: {result.obstacle}"
            self._planner.say(message, about=f"waiting for {task.place.manifest}")
        self._backlog.put(replace(later, since=since))
        self._backlog.release(task.target)

    def abandon(self) -> None:
        """Remove what renderings leave behind that were ended before their time."""
        for task, _ in self._running.values():
            remove_leftovers(task.place)


def _sheets(batch: Path) -> Target:
    """Return what the contact sheets of a batch stand under."""
    return Target(batch / BATCH_COMPLETE_FILE, batch)
