"""Contact sheets: which batches may need new ones, and which are being drawn."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from attnwatch.batches.targets import Target
from attnwatch.contract.names import BATCH_COMPLETE_FILE
from attnwatch.errors import SlowMachineError, WorkerLostError
from attnwatch.jobs.engine import Engine, Finished
from attnwatch.jobs.sheets import SheetJob, SheetResult
from attnwatch.jobs.work import Result, obstructed
from attnwatch.settings import Watcher
from attnwatch.system.refusals import in_words
from attnwatch.system.shortage import Shortage
from attnwatch.watch.ledger import Ledger
from attnwatch.watch.options import Options
from attnwatch.watch.pauses import Pauses
from attnwatch.watch.supervision import Supervisor

_log = logging.getLogger(__name__)

_SLICE = 0.05  # seconds of checks in one turn of the loop


class ContactSheets:
    """Draws the contact sheets of collections that are complete and have changed.

    Args:
        options: what this run was asked to do.
        ledger: knows the settings of each collection.
        engine: runs the jobs.
        pauses: of full disks.

    Attributes:
        has_more: whether the last call of `start` has left collections to check for the next turn of the loop.

    """

    def __init__(self, options: Options, ledger: Ledger, engine: Engine, pauses: Pauses) -> None:
        self._options = options
        self._ledger = ledger
        self._engine = engine
        self._pauses = pauses
        self._supervisor = Supervisor()
        self._unchecked: set[Path] = set()
        self._drawing: set[Path] = set()
        self._drawn: set[Path] = set()
        self.has_more = False

    @property
    def pending(self) -> bool:
        """Whether a collection has yet to be checked."""
        return bool(self._unchecked)

    @property
    def busy(self) -> list[Target]:
        """What is being drawn."""
        return [_target(batch) for batch in self._drawing]

    def check(self, batch: Path) -> None:
        """Check the sheets of a batch before the run ends or sleeps."""
        self._unchecked.add(batch)

    def forget(self) -> None:
        """Forget which collections to check, because the settings have changed."""
        self._unchecked.clear()

    def start(
        self, unfinished: set[Path | None], busy: list[Target], may_start: Callable[[], bool], settings: Watcher
    ) -> None:
        """Start drawing outdated sheets.

        Args:
            unfinished: batches whose collection is not complete.
            busy: targets that are being rendered.
            may_start: returns whether a worker is free.
            settings: limits of the job.

        """
        limit, self.has_more = time.monotonic() + _SLICE, False
        for batch in sorted(self._unchecked - unfinished - self._drawing):
            if not may_start():
                return
            if time.monotonic() >= limit:
                self.has_more = True
                return
            if self._pauses.blocking_disk(_target(batch), [*busy, *self.busy]) is not None:
                continue
            job, due = self._job(batch, settings), False
            with self._supervisor.about(job.directory):
                due = job.anew or job.collection.is_large() or job.collection.is_due(job.settings)
            if due:
                try:
                    self._engine.start(job)
                except OSError as error:
                    self._pauses.begin(Shortage.MACHINE, in_words(error), _target(batch))
                    return
                self._drawing.add(batch)
            self._unchecked.discard(batch)

    def _job(self, batch: Path, settings: Watcher) -> SheetJob:
        directory = self._options.collection_of(batch)
        roots = self._options.root_of(batch), self._options.outputs_root(directory)
        job = SheetJob(batch, directory, self._ledger.collections[batch], settings, *roots)
        return replace(job, anew=self._is_forced(job))

    def _is_forced(self, job: SheetJob) -> bool:
        """Whether this run has yet to draw the sheets of a batch anew, whatever they show."""
        if job.batch in self._drawn or not job.collection.receipts():
            return False
        return self._options.force or (self._options.outdated and job.collection.is_outdated())

    def take(self, batch: Path, ended: Finished, *, stopping: bool) -> Target | None:
        """Take a job that has ended.

        Args:
            batch: the batch that it was started for.
            ended: the job.
            stopping: the run is being stopped, so a job that was killed has not failed.

        Returns the failed target; None if the sheets were drawn, or will be tried again.

        """
        self._drawing.discard(batch)
        if isinstance(ended.outcome, WorkerLostError):
            self._check_again(batch)
            return None
        if isinstance(ended.outcome, SlowMachineError) and not self._options.once:
            self._ledger.warn(f"{batch}: no contact sheets yet: {ended.outcome}")
            self._check_again(batch)
            return None
        result = _result_of(ended.outcome)
        if result.shortage is not None and not self._options.once:
            self._pauses.begin(result.shortage, result.error or "", _target(batch))
            self._check_again(batch)
            return None
        for note in result.notes:
            self._ledger.warn(f"{batch}: {note}")
        for first, *others in result.sheets:
            more = f" (page 1 of {len(others) + 1}; the last one is {others[-1].name})" if others else ""
            _log.info("✅ Generated contact sheet: %s%s", first, more)
        if result.error is None:
            self._drawn.add(batch)
            self._pauses.end(_target(batch))
        elif not stopping:
            self._ledger.warn(f"{batch}: no contact sheets: {result.error}")
            return _target(batch)
        return None

    def _check_again(self, batch: Path) -> None:
        if batch in self._ledger.collections:  # not if settings were reloaded while they were drawn
            self.check(batch)


def _result_of(outcome: object) -> SheetResult:
    """Return what came of a job, also of one whose process could not be started, or could not begin."""
    if isinstance(outcome, SheetResult):
        return outcome
    if isinstance(outcome, OSError):
        outcome = obstructed(outcome)
    if isinstance(outcome, Result):
        return SheetResult(error=outcome.obstacle, shortage=outcome.shortage)
    return SheetResult(error=str(outcome))


def _target(batch: Path) -> Target:
    """Return the target that stands for the contact sheets of a batch."""
    return Target(batch / BATCH_COMPLETE_FILE, batch)
