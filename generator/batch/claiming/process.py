"""Makes a batch together with processes that come and go: each takes the next video that nobody has.

No process leads. Each decides from the files alone: a video with a manifest is done, one whose lease is held is being
made, one that failed is tried by another process. Seeds and names are those of the plan, so that it does not matter who
makes which video. Whoever finds nothing left to do writes the outcome.
"""

import logging
import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from generator.batch.attempt import attempt
from generator.batch.claiming.claims import Claims
from generator.batch.claiming.joining import Planned
from generator.batch.documents import write_batch
from generator.batch.interrupt import StopRequest, stop_on_signals
from generator.batch.leases import FOLDER
from generator.batch.outcome import outcome, say_how_to_render, write_outcome
from generator.batch.plan import BATCH_FILE, Plan
from generator.batch.prepare import PreparedBatch, load_model, log_size, prepare, refuse_other_version, warn
from generator.batch.progress import BatchProgress, counted, loading, restore_terminal
from generator.batch.sharing.ranks import Rank
from generator.errors import UsageError

log = logging.getLogger(__name__)

POLL = 2.0
"""Seconds between two looks at what the others do, when there is nothing else to do."""
SIGHT = 90.0
"""Seconds after which every machine sees a file that another one has written to a network file system."""


def run_claiming(planned: Planned, console: Console) -> int:
    """Make videos of a batch until none is left, and return the exit code.

    Returns:
        0 if the batch is complete, 1 if a video is missing because it failed, 128 plus the signal's number if this
        process was stopped.

    Raises:
        UsageError: if the model cannot be loaded or cannot do what is asked, or the batch is another one.
        OutputError: if a file cannot be written; complete videos stay.

    """
    rank = Rank.of(os.environ)
    plan = planned()
    if (code := _ended(plan)) is not None:
        return code
    with loading(console, plan.settings.model.id):
        model = load_model(plan, rank)
    batch = prepare(plan, model, partial(counted, console))
    warn(batch)
    with stop_on_signals(partial(restore_terminal, console)) as stop:
        joined = _joined(batch, planned, rank, stop)
        return stop.exit_code if joined is None else _Process(joined, console, stop).work()


def _ended(plan: Plan) -> int | None:
    """Return the exit code of a batch that ended before this process could join; None if it goes on.

    The model is not loaded for it, so that of many jobs which were asked for in advance, the last ones end at once.
    """
    folder = plan.folder or Path()
    if plan.resumed is None or not Claims(plan, folder).has_ended() or (code := outcome(folder)) is None:
        return None
    return _say_ended(folder, code)


def _say_ended(folder: Path, code: int) -> int:
    log.info("%s has ended; nothing is left to make", folder)
    return code


def _joined(batch: PreparedBatch, planned: Planned, rank: Rank, stop: StopRequest) -> PreparedBatch | None:
    """Write the batch file, or prepare what it says if another process has written it in the meantime.

    Returns:
        None if a signal came before either.

    """
    if batch.plan.resumed is not None or _founded(batch, stop):
        return batch
    if stop.signal is not None:
        return None
    plan, model = planned(), batch.model
    if _of_any_device(plan) != _of_any_device(batch.plan):
        model = load_model(plan, rank)
    refuse_other_version(plan, model)
    return prepare(plan, model)


def _of_any_device(plan: Plan) -> object:
    return plan.settings.model.model_copy(update={"device": "", "revision": None})


def _founded(batch: PreparedBatch, stop: StopRequest) -> bool:
    """Write the batch file unless it is there, or until a signal comes; return whether this process did.

    Raises:
        UsageError: if it was removed, but not what else there is of its batch.

    """
    folder = _folder(batch)
    claims = Claims(batch.plan, folder)
    write = partial(write_batch, folder, batch.plan, batch.words, batch.model.revision, batch.sources)
    late = time.monotonic() + SIGHT
    while stop.signal is None and not (folder / BATCH_FILE).exists():
        if claims.found(write):
            return True
        if not claims.is_founded():
            late = time.monotonic() + SIGHT
        elif time.monotonic() > late:
            raise UsageError(
                f"--claim: found {folder / FOLDER}, which says who makes which video, and no {BATCH_FILE}; expected "
                "both or neither. If the batch was removed, remove this folder, too, or name another one"
            )
        stop.wait(POLL / 10)
    return False


def _folder(batch: PreparedBatch) -> Path:
    return batch.plan.folder or Path()


@dataclass(frozen=True)
class _Process:
    """One of the processes of a batch."""

    batch: PreparedBatch
    console: Console
    stop: StopRequest

    def work(self) -> int:
        """Take videos until none is left."""
        plan, folder = self.batch.plan, _folder(self.batch)
        claims = Claims(plan, folder)
        claims.join()
        log.info(
            "%s: taking videos that nobody else makes, of %d, with %s", folder, len(plan.videos), self.batch.model.name
        )
        log_size(self.batch, folder, plan.videos)
        say_how_to_render(self.batch, folder)
        with BatchProgress(self.console, len(plan.videos), 0, bars=False) as progress:
            while self.stop.signal is None:
                if not self._take(claims, progress) and (code := self._ended(claims)) is not None:
                    return code
        log.info("%s is left to the other processes; continue with: --claim %s", folder, folder)
        return self.stop.exit_code

    def _take(self, claims: Claims, progress: BatchProgress) -> bool:
        """Make the next video; return False if there is none."""
        with claims.next() as claim:
            if claim is None:
                return False
            progress.begin(claim.video, claim.number)
            claim.is_made = attempt(
                self.batch, _folder(self.batch), claim.video, progress, self.stop, confirm=claim.lease.confirm
            )
        return True

    def _ended(self, claims: Claims) -> int | None:
        """Return the exit code if the batch has ended; None, a while later, if others are still at work."""
        code = claims.end(self._outcome)
        if code is None:
            self.stop.wait(POLL)
        return code

    def _outcome(self) -> int:
        folder = _folder(self.batch)
        code = outcome(folder)  # of the process that was first to find nothing left
        if code is not None:
            return _say_ended(folder, code)
        code = write_outcome(self.batch.plan, folder, "--resume")
        say_how_to_render(self.batch, folder)
        return code
