"""The reconcile loop: what should be rendered and is not, is rendered. Scans are the truth, events make it sooner."""

import contextlib
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, Signals
from types import FrameType

from attnwatch.backlog import Backlog, Waiting
from attnwatch.config import Settings
from attnwatch.documents import ReceiptDocument
from attnwatch.engine import Finished, LocalEngine
from attnwatch.errors import ConfigError, JobError
from attnwatch.events import Hints, RootWatcher
from attnwatch.jobs import Job, Result, obstructed, remove_leftovers
from attnwatch.mode import way_to_learn
from attnwatch.names import BATCH_COMPLETE_FILE, is_receipt
from attnwatch.pause import Pause
from attnwatch.plan import Options, Planner, Task
from attnwatch.receipts import failure, record_content
from attnwatch.report import Report
from attnwatch.search import Search
from attnwatch.sheets import SheetJob, SheetResult, is_due
from attnwatch.shortage import Shortage, free_space
from attnwatch.signals import drain, handling
from attnwatch.targets import Target

_log = logging.getLogger(__name__)

_ROOT_CHECK = 2.0  # seconds between looks whether the folders are still the same
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0  # seconds between looks at a video that is not whole yet
_MOST_DOUBLINGS = 6
_PATIENCE = 30.0  # seconds after which a missing video is taken as absent for good
_STOP_TIME = 5.0  # seconds that running jobs get to finish after a signal


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


class Daemon:
    """Renders what is finished below some folders, and goes on until it is stopped.

    Args:
        settings: merged settings.
        options: what this run is asked to do.
        engine: where jobs run; entered already.
        report: is told what happens.
        reload: returns the settings as they are now, for SIGHUP.

    """

    def __init__(
        self,
        settings: Settings,
        options: Options,
        engine: LocalEngine,
        report: Report,
        reload: Callable[[], Settings] | None = None,
    ) -> None:
        self._settings = settings
        self._options = options
        self._engine = engine
        self._report = report
        self._reload = reload
        self._planner = Planner(settings, options)
        self._search = Search(options.roots, collect=options.collect)
        self._backlog = Backlog()
        self._pause = Pause()
        self._running: dict[Target, tuple[Task, Waiting]] = {}
        self._unchecked: set[Path] = set()  # batches whose contact sheets may be out of date
        self._drawing: set[Path] = set()
        self._hints = Hints()
        self._outcome = Outcome()
        self._stop_asked = False
        self._patience_over = False
        self._reload_asked = False
        self._interval = None if options.once else settings.watcher.rescan_interval

    def run(self) -> Outcome:
        """Run until everything is done (`once`), a signal comes, or a failure is not to be survived.

        Raises:
            EngineError: nothing can be started any more; what was running is abandoned.

        """
        numbers = (SIGTERM, SIGINT) if self._options.once else (SIGTERM, SIGINT, SIGHUP)
        with handling(self._note_signal, numbers) as woken, self._watcher() as watcher:
            self._report.ready()
            try:
                while not self._stop_asked:
                    self._look_around(watcher)
                    self._start_due()
                    self._tell()
                    if self._options.once and self._is_done():
                        break
                    self._take_results(self._engine.wait(self._idle_seconds(), [self._hints.readable, woken]))
                    drain(woken)
                self._finish_running(woken)
            finally:
                for task, _ in self._running.values():
                    remove_leftovers(task.place)
                self._report.close(once=self._options.once)
        self._outcome.failed |= self._planner.given_up
        return self._outcome

    def _watcher(self) -> contextlib.AbstractContextManager[RootWatcher | None]:
        if self._options.once or not self._settings.watcher.file_events:
            return contextlib.nullcontext()
        return RootWatcher(self._options.roots, self._hints)

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == SIGHUP:
            self._reload_asked = True
            return
        self._patience_over = self._outcome.signal is not None
        self._outcome.signal = Signals(number)
        self._stop_asked = True

    def _is_done(self) -> bool:
        return not (self._search.is_busy or self._backlog or self._engine.running or self._unchecked)

    def _look_around(self, watcher: RootWatcher | None) -> None:
        """Look for a while where hints point, and everywhere when it is time to."""
        if self._reload_asked:
            self._load_again()
        if watcher is not None and watcher.refresh():
            self._search.ask_for_scan()
            self._report.activity.overflows = watcher.overflows
        self._search.follow(self._places_hinted())
        scans = self._search.scans
        for target in self._search.find(self._interval):
            self._consider(target)
            if self._stop_asked:
                return
        if self._search.scans > scans:
            self._take_scan(watcher)

    def _take_scan(self, watcher: RootWatcher | None) -> None:
        """Tell of a scan that is done, and decide how long after it the next one comes."""
        self._report.scanned(self._search.scans, self._search.seconds)
        once = self._options.once
        if self._search.scans == 1:
            videos = self._backlog.videos() + len(self._running) + self._outcome.rendered
            self._report.hello(videos, self._planner.up_to_date, self._settings.watcher.workers, once=once)
        self._planner.prune(self._search.found)
        if not once:
            way = way_to_learn(self._options.roots, watcher, self._search.folders)
            self._interval = way.interval(self._settings.watcher.rescan_interval)
            self._search.wait(self._interval)
            self._report.learns(way.mode, way.reason, self._interval)

    def _tell(self) -> None:
        self._report.runs(task for task, _ in self._running.values())
        self._report.beat(waiting=len(self._backlog), paused=self._pause.reason)

    def _places_hinted(self) -> list[Path]:
        """Return where to look; what a receipt says is looked at here, because nobody walks where receipts lie."""
        hints = self._hints.take()
        for receipt in filter(lambda path: is_receipt(path.name), hints):
            target = self._planner.target_of(receipt)
            if target is not None:
                self._consider(target)
        return sorted(path for path in hints if not is_receipt(path.name))

    def _load_again(self) -> None:
        """Take new settings if they are right; everything is decided anew then."""
        self._reload_asked = False
        if self._reload is None:
            return
        with self._report.reloading():
            try:
                self._settings = self._reload()
            except ConfigError as error:
                _log.error("the new configuration is wrong, the old one stays: %s", error)
                return
            _log.info("the configuration was read again")
            self._planner.reload(self._settings)
            self._search.ask_for_scan()

    def _consider(self, target: Target) -> None:
        """Queue a target if something is to be done for it."""
        if target in self._running or self._planner.is_settled(target):
            return
        task = self._planner.plan(target)
        if target.batch in self._planner.collections:
            self._unchecked.add(target.batch)
        if task is None:
            self._backlog.discard(target)
            self._backlog.release(target)
        else:
            self._queue(task)

    def _queue(self, task: Task) -> None:
        due = time.monotonic() + task.wait
        waiting = self._backlog.get(task.target)
        # One whose files were found incomplete is looked at again in its own rhythm.
        if waiting is None or (waiting.since is None and due < waiting.due):
            self._backlog.put(Waiting(task.target, due))

    def _start_due(self) -> None:
        while self._may_start() and (waiting := self._backlog.pop_due(time.monotonic())) is not None:
            beside = Target(waiting.target.manifest)
            if waiting.target.batch is not None and self._is_imminent(beside):
                self._backlog.hold(waiting, beside)  # it may then only need a link
                continue
            # Planned again: since it was queued, another process may have rendered it, or its files have changed.
            task = self._planner.plan(waiting.target)
            if task is None:
                self._backlog.release(waiting.target)
            elif task.wait > 0:
                self._queue(task)
            else:
                self._start(task, waiting)
        self._start_sheets()

    def _may_start(self) -> bool:
        watcher = self._settings.watcher
        running = self._engine.running
        return running < watcher.workers and self._pause.lets_start(running, watcher.min_free_space)

    def _is_imminent(self, target: Target) -> bool:
        waiting = self._backlog.get(target)
        return target in self._running or (waiting is not None and waiting.due <= time.monotonic())

    def _start(self, task: Task, waiting: Waiting) -> None:
        patient = waiting.since is not None and time.monotonic() - waiting.since >= _PATIENCE
        absent = patient or self._options.once
        obstacle = task.obstacle(video_may_be_absent=absent)
        if obstacle is not None:
            self._put_back(task, waiting, Result(None, obstacle))
            return
        if (full := self._disk_is_full(task)) is not None:
            self._put_back(task, waiting, full)
            return
        workers = self._settings.watcher.workers
        job = Job(
            place=task.place,
            seen=task.receipt,
            settings=task.settings,
            tokens=self._options.tokens,
            watcher=self._settings.watcher,
            video_may_be_absent=absent,
            threads=max(1, workers // (len(self._backlog) + len(self._running) + 1)),
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

    def _disk_is_full(self, task: Task) -> Result | None:
        folder = task.target.batch or task.place.manifest.parent
        left, least = free_space(folder), self._settings.watcher.min_free_space
        if left is None or left >= least:
            return None
        reason = f"{left / 1e6:,.0f} MB are left at {folder}, less than min_free_space ({least / 1e6:,.0f} MB)"
        return Result(None, reason, shortage=Shortage.DISK)

    def _start_sheets(self) -> None:
        """Draw the contact sheets of batches whose collection is complete and has changed."""
        if not self._unchecked or self._search.is_busy:
            return
        unfinished = self._backlog.soon(time.monotonic()) | {target.batch for target in self._running} | self._drawing
        for batch in sorted(self._unchecked - unfinished):
            if not self._may_start():
                return
            if is_due(batch):
                try:
                    self._engine.start(SheetJob(batch, self._planner.collections[batch], self._settings.watcher))
                except OSError as error:
                    self._pause.begin(Shortage.MACHINE, str(error), batch)
                    return
                self._drawing.add(batch)
            self._unchecked.discard(batch)

    def _idle_seconds(self) -> float:
        if self._search.is_busy:
            return 0.0
        now = time.monotonic()
        times = [
            self._search.next_scan,
            now + min(_ROOT_CHECK, self._report.patience or _ROOT_CHECK),
            self._pause.next_look(),
        ]
        if self._may_start():
            times.append(self._backlog.next_due())
        return max(0.0, min(moment for moment in times if moment is not None) - now)

    def _take_results(self, finished: list[Finished]) -> None:
        for ended in finished:
            if isinstance(ended.job, SheetJob):
                self._take_sheets(ended.job.batch, ended.outcome)
            elif isinstance(ended.job, Job):
                self._take_result(Target(ended.job.place.manifest, ended.job.batch), ended)

    def _take_sheets(self, batch: Path, outcome: object) -> None:
        self._drawing.discard(batch)
        if isinstance(outcome, SheetResult) and outcome.shortage is not None and not self._options.once:
            self._pause.begin(outcome.shortage, outcome.error or "", batch)
            self._unchecked.add(batch)
            return
        error = outcome.error if isinstance(outcome, SheetResult) else str(outcome)
        if error is not None and self._outcome.signal is None:
            self._outcome.failed.add(Target(batch / BATCH_COMPLETE_FILE, batch))
            self._planner.say(f"{batch}: no contact sheets: {error}")
        for file in outcome.files if isinstance(outcome, SheetResult) else ():
            _log.info("✅ Generated contact sheet: %s", file)

    def _take_result(self, target: Target, ended: Finished) -> None:
        task, waiting = self._running.pop(target)
        self._backlog.release(target)
        result = ended.outcome
        if isinstance(result, JobError):
            remove_leftovers(task.place)
            if self._outcome.signal is not None:
                return  # whoever stops the watcher may end its jobs with it: that is no failure of theirs
            result = self._record_crash(task, ended.seconds, result)
        elif isinstance(result, OSError):
            result = obstructed(result)
        if not isinstance(result, Result):
            return
        if result.receipt is not None:
            self._take_receipt(task, result.receipt, unchanged=result.unchanged)
        else:
            self._put_back(task, waiting, result)

    def _record_crash(self, task: Task, seconds: float, error: JobError) -> Result:
        """Write the receipt for a job that could not write one itself."""
        content = record_content(task.stamps, {})
        receipt = failure(task.place, task.fingerprint, error, seconds, self._settings.watcher, content=content)
        try:
            task.place.write(receipt)
        except OSError as problem:
            return Result(None, f"{error}; and its receipt cannot be written: {problem}")
        return Result(receipt)

    def _take_receipt(self, task: Task, receipt: ReceiptDocument, *, unchanged: bool) -> None:
        self._pause.end()
        if receipt.status == "failed":
            self._take_failure(task, receipt)
            return
        self._outcome.failed.discard(task.target)
        self._planner.note_rendered(task)
        if not unchanged:
            self._outcome.rendered += receipt.status == "rendered"
            self._report.rendered(task, receipt)

    def _take_failure(self, task: Task, receipt: ReceiptDocument) -> None:
        self._outcome.failed.add(task.target)
        self._planner.note_failed(task)
        self._report.failed(task, receipt, once=self._options.once)
        if task.settings.fail_on_visualization_error:
            self._stop_asked = True
        elif not self._options.once:
            self._consider(task.target)

    def _put_back(self, task: Task, waiting: Waiting, result: Result) -> None:
        """Look again later at a video that could not be tried: not whole, busy, or nothing left to render it with."""
        if self._options.once and not result.busy:
            self._outcome.failed.add(task.target)
            _log.error("❌ %s: %s", task.place.video_id, result.obstacle)
            return
        _log.debug("not yet: %s: %s", task.place.video_id, result.obstacle)
        now = time.monotonic()
        if result.shortage is not None:
            self._pause.begin(result.shortage, result.obstacle or "", task.place.manifest.parent)
            self._backlog.put(Waiting(task.target, now, waiting.since, waiting.looks))
            return
        since = waiting.since or now
        if now - since >= _PATIENCE:
            self._planner.say(f"still waiting for {task.place.video_id}: {result.obstacle}")
        delay = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(waiting.looks, _MOST_DOUBLINGS))
        self._backlog.put(Waiting(task.target, now + delay, since, waiting.looks + 1))
        self._backlog.release(task.target)

    def _finish_running(self, woken: socket.socket) -> None:
        """Let running jobs finish for a while; what is not finished then is abandoned and done at the next start."""
        if self._outcome.signal is not None:
            self._report.stopping(len(self._running), _STOP_TIME)
        limit = time.monotonic() + _STOP_TIME
        while self._engine.running and time.monotonic() < limit and not self._patience_over:
            self._take_results(self._engine.wait(limit - time.monotonic(), [woken]))
            drain(woken)
        self._engine.stop()
