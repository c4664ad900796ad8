"""The reconcile loop: what should be rendered and is not, is rendered. Scans are the truth, events make it sooner."""

import contextlib
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals
from types import FrameType

from attnwatch.config import Settings
from attnwatch.discover import is_searched
from attnwatch.documents import ReceiptDocument
from attnwatch.engine import Finished, LocalEngine
from attnwatch.errors import JobError
from attnwatch.events import Hints, RootWatcher
from attnwatch.jobs import Job, Result, remove_leftovers
from attnwatch.log import counted
from attnwatch.names import BATCH_COMPLETE_FILE
from attnwatch.plan import Options, Planner, Task, retry_command
from attnwatch.receipts import failure
from attnwatch.sheets import SheetJob, SheetResult, is_due
from attnwatch.signals import drain, handling
from attnwatch.targets import Target, find_targets

_log = logging.getLogger(__name__)

_ROOT_CHECK = 2.0  # seconds between looks whether the folders are still the same
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0  # seconds between looks at a video that is not whole yet
_MOST_DOUBLINGS = 6
_PATIENCE = 30.0  # seconds after which a missing video is taken as absent for good
_STOP_TIME = 6.0  # seconds that running jobs get to finish after a signal

Progress = Callable[[int, int], None]


@dataclass
class Outcome:
    """What came of one run.

    Attributes:
        rendered: number of videos rendered in this run.
        failed: what could not be rendered, in this run or before.
        signal: the signal that ended the run, if one did.

    """

    rendered: int = 0
    failed: set[Target] = field(default_factory=set)
    signal: Signals | None = None


@dataclass
class _Waiting:
    """When a video may be started; `since` and `looks` count from when its files were first found incomplete."""

    due: float = 0.0
    since: float | None = None
    looks: int = 0


class Daemon:
    """Renders what is finished below some folders, and goes on until it is stopped.

    Args:
        settings: merged settings.
        options: what this run is asked to do.
        progress: is told the number of videos done, and of videos known.

    """

    def __init__(self, settings: Settings, options: Options, progress: Progress) -> None:
        self._settings = settings
        self._options = options
        self._progress = progress
        self._planner = Planner(settings, options)
        self._waiting: dict[Target, _Waiting] = {}
        self._running: dict[Target, tuple[Task, _Waiting]] = {}
        self._unchecked: set[Path] = set()  # batches whose contact sheets may be out of date
        self._drawing: set[Path] = set()
        self._engine = LocalEngine()
        self._hints = Hints()
        self._outcome = Outcome()
        self._done = 0
        self._stop_asked = False
        self._patience_over = False
        self._greeted = False
        self._next_scan = 0.0

    def run(self) -> Outcome:
        """Run until everything is done (`once`), a signal comes, or a failure is not to be survived."""
        with handling(self._ask_to_stop) as woken, self._engine, self._watcher() as watcher:
            while not self._stop_asked:
                self._look_around(watcher)
                self._say_hello()
                self._start_due()
                if self._options.once and not (self._waiting or self._engine.running or self._unchecked):
                    break
                self._take_results(self._engine.wait(self._idle_seconds(), [self._hints.readable, woken]))
            self._finish_running(woken)
        self._outcome.failed |= self._planner.given_up
        return self._outcome

    def _say_hello(self) -> None:
        """Say, after the first scan, what there is to do."""
        if self._greeted:
            return
        self._greeted = True
        where = ", ".join(map(str, self._options.roots))
        verb = "rendering" if self._options.once else "watching"
        videos = len({target.manifest for target in self._waiting})
        counts = f"{counted(videos, 'video')} to render, {self._planner.up_to_date} up to date"
        _log.info("%s %s: %s, %d at a time", verb, where, counts, self._settings.watcher.workers)

    def _watcher(self) -> contextlib.AbstractContextManager[RootWatcher | None]:
        if self._options.once:
            return contextlib.nullcontext()
        return RootWatcher(self._options.roots, self._hints)

    def _ask_to_stop(self, number: int, _frame: FrameType | None) -> None:
        self._patience_over = self._outcome.signal is not None
        self._outcome.signal = Signals(number)
        self._stop_asked = True

    def _look_around(self, watcher: RootWatcher | None) -> None:
        """Scan when it is time to, else look where hints point."""
        now = time.monotonic()
        if (watcher and watcher.refresh()) or now >= self._next_scan:
            self._hints.take()
            for root in self._options.roots:
                self._consider(root)
            self._next_scan = float("inf") if self._options.once else now + self._settings.watcher.rescan_interval
        else:
            for path in sorted(self._hints.take()):
                if any(is_searched(path, root) for root in self._options.roots):
                    self._consider(path)

    def _consider(self, path: Path) -> None:
        """Queue everything at or below a path that is to be rendered."""
        for target in find_targets(path, collect=self._options.collect):
            if target in self._running or self._stop_asked:
                continue
            task = self._planner.plan(target)
            if target.batch in self._planner.collections:
                self._unchecked.add(target.batch)
            if task is None:
                self._waiting.pop(target, None)
            else:
                self._queue(task)
        self._report()

    def _queue(self, task: Task) -> None:
        due = time.monotonic() + task.wait
        waiting = self._waiting.setdefault(task.target, _Waiting(due=due))
        if waiting.since is None:  # else its files are looked at again in their own rhythm
            waiting.due = min(waiting.due, due)

    def _start_due(self) -> None:
        now = time.monotonic()
        due = [target for target, waiting in self._waiting.items() if waiting.due <= now and not self._blocked(target)]
        for target in due:
            if self._engine.running >= self._settings.watcher.workers:
                return
            waiting = self._waiting.pop(target)
            # Planned again: since it was queued, another process may have rendered it, or its files have changed.
            task = self._planner.plan(target)
            if task is not None and task.wait > 0:
                self._queue(task)
            elif task is not None:
                self._start(task, waiting)
        self._start_sheets()

    def _blocked(self, target: Target) -> bool:
        """Tell whether a video is just being rendered beside itself: its collection may then only need a link."""
        if target.batch is None:
            return False
        beside = Target(target.manifest)
        waiting = self._waiting.get(beside)
        return beside in self._running or (waiting is not None and waiting.due <= time.monotonic())

    def _start_sheets(self) -> None:
        """Draw the contact sheets of batches whose collection is complete and has changed."""
        now = time.monotonic()
        soon = [target for target, waiting in self._waiting.items() if waiting.since is None and waiting.due <= now]
        unfinished = {target.batch for target in (*soon, *self._running)} | self._drawing
        for batch in sorted(self._unchecked - unfinished):
            if self._engine.running >= self._settings.watcher.workers:
                return
            self._unchecked.discard(batch)
            if is_due(batch):
                self._drawing.add(batch)
                self._engine.start(SheetJob(batch, self._planner.collections[batch]))

    def _start(self, task: Task, waiting: _Waiting) -> None:
        patient = waiting.since is not None and time.monotonic() - waiting.since >= _PATIENCE
        workers = self._settings.watcher.workers
        job = Job(
            place=task.place,
            seen=task.receipt,
            settings=task.settings,
            tokens=self._options.tokens,
            limits=self._settings.watcher,
            video_may_be_absent=patient or self._options.once,
            threads=max(1, workers // (len(self._waiting) + len(self._running) + 1)),
            batch=task.target.batch,
            batch_sha256=task.batch_sha256,
        )
        self._running[task.target] = (task, waiting)
        self._engine.start(job)
        _log.debug("started %s", task.place.video_id)

    def _idle_seconds(self) -> float:
        now = time.monotonic()
        times = [self._next_scan, now + _ROOT_CHECK]
        if self._engine.running < self._settings.watcher.workers:
            times.extend(waiting.due for target, waiting in self._waiting.items() if not self._blocked(target))
        return max(0.0, min(times) - now)

    def _take_results(self, finished: list[Finished]) -> None:
        for ended in finished:
            if isinstance(ended.job, SheetJob):
                self._take_sheets(ended.job.batch, ended.outcome)
            elif isinstance(ended.job, Job):
                self._take_result(ended.job, ended)
        if finished:
            self._report()

    def _take_sheets(self, batch: Path, outcome: object) -> None:
        self._drawing.discard(batch)
        error = outcome.error if isinstance(outcome, SheetResult) else str(outcome)
        if error is not None and self._outcome.signal is None:
            self._outcome.failed.add(Target(batch / BATCH_COMPLETE_FILE, batch))
            self._planner.say(f"{batch}: no contact sheets: {error}")
        for file in outcome.files if isinstance(outcome, SheetResult) else ():
            _log.info("✅ Generated contact sheet: %s", file)

    def _take_result(self, job: Job, ended: Finished) -> None:
        task, waiting = self._running.pop(Target(job.place.manifest, job.batch))
        result = ended.outcome
        if isinstance(result, JobError):
            remove_leftovers(task.place)
            if self._outcome.signal is not None:
                return  # whoever stops the watcher may end its jobs with it: that is no failure of theirs
            result = self._record_crash(task, ended.seconds, result)
        if not isinstance(result, Result):
            return
        if result.receipt is not None:
            self._take_receipt(task, result.receipt)
        else:
            self._put_back(task, waiting, result)

    def _record_crash(self, task: Task, seconds: float, error: JobError) -> Result:
        """Write the receipt for a job that could not write one itself."""
        receipt = failure(task.place, task.fingerprint, error, seconds, self._settings.watcher)
        try:
            task.place.write(receipt)
        except OSError as problem:
            return Result(None, f"{error}; and its receipt cannot be written: {problem}")
        return Result(receipt)

    def _take_receipt(self, task: Task, receipt: ReceiptDocument) -> None:
        if receipt.status == "failed":
            self._take_failure(task, receipt)
            return
        self._done += 1
        self._outcome.failed.discard(task.target)
        self._outcome.rendered += receipt.status == "rendered"
        self._planner.note_rendered(task)
        for output in receipt.outputs:
            _log.info("✅ Generated attention video: %s", output.file)
        notes = "".join(f"; {note}" for note in receipt.notes)
        seconds = receipt.attempts[-1].seconds
        outputs = counted(len(receipt.outputs), "output")
        where = "" if task.target.batch is None else f" in the collection of {task.target.batch.name}"
        _log.info("%s: %s%s in %.1f s%s", receipt.video_id, outputs, where, seconds, notes)

    def _take_failure(self, task: Task, receipt: ReceiptDocument) -> None:
        self._outcome.failed.add(task.target)
        self._planner.note_failed(task)
        tried = f"attempt {len(receipt.attempts)}"
        if receipt.next_attempt is None or self._options.once:
            then = f"{retry_command(task.target)} tries again"
        else:
            then = f"next attempt at {receipt.next_attempt}"
        _log.error("❌ %s (%s): %s; %s", receipt.video_id, tried, receipt.attempts[-1].error, then)
        if task.settings.fail_on_visualization_error:
            self._stop_asked = True
        elif not self._options.once:
            self._consider(task.place.manifest)

    def _put_back(self, task: Task, waiting: _Waiting, result: Result) -> None:
        """Look again later at a video whose files are not whole, or that another process renders."""
        if self._options.once and not result.busy:
            self._outcome.failed.add(task.target)
            _log.error("❌ %s: %s", task.place.video_id, result.obstacle)
            return
        now = time.monotonic()
        since = waiting.since or now
        if now - since >= _PATIENCE:
            self._planner.say(f"still waiting for {task.place.video_id}: {result.obstacle}")
        delay = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(waiting.looks, _MOST_DOUBLINGS))
        self._waiting[task.target] = _Waiting(due=now + delay, since=since, looks=waiting.looks + 1)

    def _finish_running(self, woken: socket.socket) -> None:
        """Let running jobs finish for a while; what is not finished then is abandoned and done at the next start."""
        if self._outcome.signal is not None:
            jobs = counted(len(self._running), "running job")
            _log.info("stopping%s", f": {jobs} may take {_STOP_TIME:g} s to finish" if self._running else "")
        limit = time.monotonic() + _STOP_TIME
        while self._engine.running and time.monotonic() < limit and not self._patience_over:
            drain(woken)
            self._take_results(self._engine.wait(limit - time.monotonic(), [woken]))
        self._engine.stop()
        for task, _ in self._running.values():
            remove_leftovers(task.place)

    def _report(self) -> None:
        self._progress(self._done, self._done + len(self._waiting) + len(self._running))
