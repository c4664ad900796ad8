"""Starts jobs when they are due, puts back what cannot be tried yet, and takes in what has ended."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from attnwatch.batches.targets import Target
from attnwatch.config import Settings
from attnwatch.contract.backoff import Backoff
from attnwatch.errors import JobError, SlowMachineError, WorkerLostError
from attnwatch.jobs.engine import Engine, Finished
from attnwatch.jobs.outputs import remove_leftovers
from attnwatch.jobs.sheets import SheetJob
from attnwatch.jobs.video import Job
from attnwatch.jobs.work import Result, obstructed
from attnwatch.report.reporter import Report
from attnwatch.system.shortage import Shortage, lack_of_space
from attnwatch.watch.admission import at_once, beside_in_batch, enqueue, state_of, threads_for
from attnwatch.watch.backlog import Backlog, Waiting
from attnwatch.watch.contact_sheets import ContactSheets
from attnwatch.watch.decision import Decision, NotYet, Refused, Render
from attnwatch.watch.delays import OFTEN_LOST, PATIENCE, warn_of_delay
from attnwatch.watch.elsewhere import judged
from attnwatch.watch.failures import record_crash
from attnwatch.watch.ledger import Ledger
from attnwatch.watch.options import Options
from attnwatch.watch.pauses import Pauses
from attnwatch.watch.plan import Planner
from attnwatch.watch.results import Results
from attnwatch.watch.rivals import Rivals
from attnwatch.watch.supervision import Supervisor
from attnwatch.watch.task import Task

_log = logging.getLogger(__name__)

_BETWEEN_LOOKS = Backoff(first=0.5, longest=30.0)  # at a video that is not complete yet
_DYING = 1.0  # seconds for jobs that were killed to release their locks


@dataclass(frozen=True)
class _Started:
    task: Task
    waiting: Waiting
    job: Job


class Dispatcher:
    """Keeps the backlog and the running jobs.

    Args:
        settings: merged settings.
        options: what this run was asked to do.
        engine: runs the jobs.
        report: receives the events.

    Attributes:
        ledger: acts on the decisions about targets.
        results: of the jobs that have ended.
        stopping: the run is ending, so jobs that end without a result from now on may have been killed with it.

    """

    def __init__(self, settings: Settings, options: Options, engine: Engine, report: Report) -> None:
        self._settings = settings
        self._options = options
        self.ledger = Ledger(settings, options)
        self._planner = Planner(settings, options, self.ledger.decisions)
        self._supervisor = Supervisor()
        self._engine = engine
        self._report = report
        self._backlog = Backlog()
        report.follow(self._backlog.age)
        self._pauses = Pauses(self._backlog, options.out)
        self._rivals = Rivals(settings, options, report.activity)
        self._sheets = ContactSheets(options, self.ledger, engine, self._pauses)
        self._running: dict[Target, _Started] = {}
        self.results = Results(settings, options, self.ledger, report)
        self.stopping = False

    @property
    def videos(self) -> int:
        """Number of videos that are waiting, running, rendered, or have failed and do not wait for another attempt."""
        ended = sum(self._backlog.get(target) is None for target in self.results.failed.difference(self._running))
        return self._backlog.videos() + len(self._running) + self.results.rendered + ended

    @property
    def running(self) -> int:
        """Number of videos that are being rendered."""
        return len(self._running)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not (self._backlog or self._engine.running or self._sheets.pending)

    def reload(self, settings: Settings) -> None:
        """Use other settings; the scan that follows finds the collections that they ask for."""
        self._settings = settings
        self._planner.reload(settings)
        self._rivals.reload(settings)
        self.results.reload(settings)
        self.ledger.reload(settings)
        self._sheets.forget()

    def tell(self) -> None:
        """Report what is running and waiting; what no worker of a cluster has yet is waiting."""
        placed = [(one.task.place, self._engine.worker_of(one.job)) for one in self._running.values()]
        is_here = self._engine.slots is None
        running = [(place, worker) for place, worker in placed if is_here or worker is not None]
        waiting = len(self._backlog) + len(placed) - len(running)
        self._report.runs(running)
        self._report.beat(waiting=waiting, paused=self._pauses.reason or self._engine.obstacle)

    def consider(self, target: Target) -> None:
        """Queue a target if it should be rendered."""
        try:  # not `about`: a scan calls this for every target
            self._consider(target)
        except Exception as error:  # noqa: BLE001 - it is noted
            self._supervisor.note(target.manifest, error)

    def _consider(self, target: Target) -> None:
        if target in self._running or self.ledger.decisions.is_settled(target):
            return
        decision = self._decide(target)
        if isinstance(decision, Refused):
            self.results.take_refusal()
        if target.batch in self.ledger.collections:
            self._sheets.check(target.batch)
        if isinstance(decision, Render | NotYet):
            enqueue(self._backlog, decision, oldest_first=self._options.oldest_first)
        else:
            self._backlog.discard(target)
            self._backlog.release(target)

    def start_due(self, *, searching: bool) -> None:
        """Start what is due. While a scan is `searching`, collections may be incomplete: no contact sheets yet."""
        self._pauses.yield_to(self._rivals.look())
        self._pauses.look(self._busy, self._settings.watcher.min_free_space)
        while self._may_start() and (waiting := self._pauses.pop_due(time.monotonic(), self._busy)) is not None:
            with self._supervisor.about(waiting.target.manifest):
                self._start_or_hold(waiting)
        if not searching and self._sheets.pending:
            unfinished = self._backlog.soon(time.monotonic()) | {target.batch for target in self._running}
            self._sheets.start(unfinished, list(self._running), self._may_start, self._settings.watcher)

    def _start_or_hold(self, waiting: Waiting) -> None:
        beside = Target(waiting.target.manifest)
        if waiting.target.batch is not None and self._is_imminent(beside):
            self._backlog.hold(waiting, beside)  # the collection may then only need a link
            return
        # Decide again: since it was queued, another process may have rendered it, or its files have changed.
        decision = self._decide(waiting.target)
        if isinstance(decision, Render):
            self._start(decision.task, waiting)
        elif isinstance(decision, NotYet):
            self._postpone(decision)
        else:
            self._backlog.release(waiting.target)

    def next_start(self) -> float | None:
        """Return the monotonic time at which something may be started; None if nothing waits for a time."""
        if self._sheets.has_more:
            return time.monotonic()
        if len(self._backlog) == 0:
            return None
        if not self._may_start():
            return self._pauses.machine.next_look(self._engine.running)
        times = (self._pauses.next_look(self._busy), self._backlog.next_due())
        return min((moment for moment in times if moment is not None), default=None)

    def take(self, finished: Iterable[Finished]) -> None:
        """Take in jobs that have ended."""
        for ended in finished:
            if isinstance(ended.job, SheetJob):
                with self._supervisor.about(ended.job.batch):
                    failed = self._sheets.take(ended.job.batch, ended, stopping=self.stopping)
                    self.results.failed |= set() if failed is None else {failed}
            elif isinstance(ended.job, Job):
                target = Target(ended.job.place.manifest, ended.job.batch)
                with self._supervisor.about(target.manifest):
                    self._take_result(target, ended)

    def abandon(self) -> None:
        """Remove the unfinished files of renderings that were ended early."""
        limit = time.monotonic() + _DYING  # of all together: on a cluster, many may go on
        for started in self._running.values():
            remove_leftovers(started.task.place, max(0.0, limit - time.monotonic()))

    def _decide(self, target: Target) -> Decision:
        decision = self._planner.decide(target)
        self.ledger.apply(target, decision)
        return decision

    def _postpone(self, decision: NotYet) -> None:
        """Queue a target again that is no longer due; with `once`, drop it if it is still being written."""
        task = decision.task
        if self._options.once and task.manifest.finished_by != "manifest":
            self.ledger.warn(f"not rendered: {task.place.video_id} is not finished: {decision.why}")
            self._backlog.release(task.target)
        else:
            enqueue(self._backlog, decision, oldest_first=self._options.oldest_first)

    def _may_start(self) -> bool:
        if self.results.gives_up:
            return False
        running = self._engine.running
        return running < at_once(self._engine.slots, self._settings.watcher) and self._pauses.lets_start(running)

    @property
    def _busy(self) -> list[Target]:
        """What is being written."""
        return [*self._running, *self._sheets.busy]

    def _is_imminent(self, target: Target) -> bool:
        waiting = self._backlog.get(target)
        return target in self._running or (waiting is not None and waiting.due <= time.monotonic())

    def _start(self, task: Task, waiting: Waiting) -> None:
        # The disk first: a read-only one delays everything that is written there, not only this video.
        folder = self._pauses.folder_of(task.target)
        if (lack := lack_of_space(folder, self._settings.watcher.min_free_space)) is not None:
            self._put_back(task, waiting, Result(None, lack, shortage=Shortage.DISK))
            return
        patient = waiting.since is not None and time.monotonic() - waiting.since >= PATIENCE
        absent = (patient or self._options.once) and not task.has_video
        if (obstacle := task.obstacle(video_may_be_absent=absent)) is not None:
            self._put_back(task, waiting, Result(None, obstacle))
            return
        watcher, threads = self._settings.watcher, 1
        if self._engine.slots is None:  # idle workers of a cluster are on other machines
            threads = threads_for(self._backlog, self.running, watcher)
        job = task.job(watcher, self._options.tokens, threads=threads, video_may_be_absent=absent)
        try:
            self._engine.start(job)
        except OSError as error:
            self._put_back(task, waiting, obstructed(error))
            return
        self._running[task.target] = _Started(task, waiting, job)
        self._report.took({"queue": time.monotonic() - waiting.found})
        _log.debug("started %s", task.place.video_id)

    def _take_result(self, target: Target, ended: Finished) -> None:
        started = self._running.pop(target)
        task, waiting, result = started.task, started.waiting, ended.outcome
        self._backlog.release(target)
        if isinstance(result, JobError | SlowMachineError):
            remove_leftovers(task.place)
        if isinstance(result, JobError) and self.stopping:
            return  # killed with the watcher, so it has not failed
        if isinstance(result, JobError):
            result = record_crash(task, ended.seconds, result, self._settings.watcher)
        elif isinstance(result, SlowMachineError | WorkerLostError | OSError):
            result = obstructed(result)
        if not isinstance(result, Result):
            return
        if self._engine.slots is not None:
            result = judged(result, waiting.looks)
        if result.receipt is not None:
            self._pauses.end(task.target)
            if result.unchanged and result.receipt.status == "failed":  # only its files were looked at again
                self.consider(task.target)
                return
            self.results.take_receipt(task, result, result.receipt)
            if not (self._options.once or self.results.gives_up):
                self.consider(task.target)  # files or settings may have changed while it was rendered
        else:
            self._put_back(task, replace(waiting, tried=state_of(task)), result)

    def _put_back(self, task: Task, waiting: Waiting, result: Result) -> None:
        """Queue a video again that could not be tried: incomplete, rendered elsewhere, or out of a resource."""
        now, looks = time.monotonic(), waiting.looks + 1
        starts_again = result.busy or result.lost or (result.starved and looks < self._settings.watcher.max_attempts)
        if self._options.once and not starts_again:
            self.results.take_obstacle(task, result, self._pauses.folder_of(task.target))
            return
        _log.debug("not yet: %s: %s", task.place.video_id, result.obstacle)
        later = replace(waiting, due=now + _BETWEEN_LOOKS.wait(looks), looks=looks)
        if result.shortage is not None and result.shortage is not Shortage.TEMPORARY:  # which most videos do not need
            self._pauses.begin(result.shortage, result.obstacle or "", task.target)
            self._backlog.put(later)  # behind the others: one that is too large for a disk must not block them
            return
        if result.busy and (other := beside_in_batch(task.target, self._running)) is not None:
            self._backlog.hold(later, other)  # it is probably measuring the colour scale of the batch
            return
        since = waiting.since if result.starved or result.lost else waiting.since or now
        if result.starved and not (result.lost and looks >= OFTEN_LOST):
            self._report.starved(task.place, result.obstacle or "")
        else:
            warn_of_delay(self.ledger, task.place, result, looks=looks, waited=0.0 if since is None else now - since)
        self._backlog.put(replace(later, since=since))
        self._backlog.release(task.target)
