"""Acts on decisions: the one place that remembers, counts, logs and records what the planner decided."""

import contextlib
import logging
from dataclasses import replace
from pathlib import Path

from attnwatch.batches.targets import Target
from attnwatch.batches.videos import home_of
from attnwatch.config import Settings
from attnwatch.contract.documents import ReceiptDocument
from attnwatch.contract.receipts import describe
from attnwatch.contract.stamps import stamp_of
from attnwatch.errors import AttnwatchError, ContractError
from attnwatch.settings import Visualization
from attnwatch.watch.decision import Decision, GivenUp, NotYet, Refused, Render, Settled
from attnwatch.watch.decisions import Decisions, far_more
from attnwatch.watch.failures import record_refusal, refusal
from attnwatch.watch.left_out import LeftOut
from attnwatch.watch.options import Options
from attnwatch.watch.task import Basis, Task

_log = logging.getLogger(__name__)


class Ledger:
    """Keeps the account of one run.

    Attributes:
        decisions: the cache of settled targets.
        given_up: targets that will not be rendered although they should be.
        collections: settings of the collection of each batch that has one.
        left_out: targets that this run leaves out, and why.

    """

    def __init__(self, settings: Settings, options: Options) -> None:
        self._settings = settings
        self._options = options
        self._said: set[int] = set()
        self.decisions = Decisions()
        self.left_out = LeftOut(options)
        self.given_up: set[Target] = set()
        self.collections: dict[Path, Visualization] = {}

    @property
    def up_to_date(self) -> int:
        """Number of videos whose outputs are there and valid."""
        return self.decisions.videos(but=self.given_up | self.left_out.targets)

    def reload(self, settings: Settings) -> None:
        """Use other settings, and let everything be decided again."""
        self._settings = settings
        self.decisions.forget_settled()
        self._said.clear()
        self.collections.clear()

    def prune(self, found: int) -> None:
        """Forget deleted videos, if far more are remembered than the last scan `found`."""
        if far_more(self.left_out.remembered, found):  # those that were not asked for are not in the cache
            self.left_out.prune()
        if self.decisions.prune(found):
            self.left_out.prune()
            self.given_up = {target for target in self.given_up if stamp_of(target.manifest) is not None}
            self.collections = {batch: asked for batch, asked in self.collections.items() if stamp_of(batch)}
            self._said.clear()

    def apply(self, target: Target, decision: Decision) -> None:
        """Act on the decision about a target, whatever was decided before."""
        self.decisions.unsettle(target)
        self.given_up.discard(target)
        self.left_out.discard(target)
        for note in decision.notes:
            about = f"{home_of(target.manifest).parent}: {note}"
            self.warn(f"{target.manifest}: {note}", about=about)
        if decision.collection is not None and target.batch is not None:
            self.collections[target.batch] = decision.collection
        if isinstance(decision, Refused):
            self._refuse(target, decision)
            return
        if isinstance(decision, Settled):
            self.left_out.take(target, decision)
        if decision.basis is not None:
            self._apply(target, decision, decision.basis)

    def _apply(self, target: Target, decision: Render | NotYet | Settled | GivenUp, basis: Basis) -> None:
        if basis.receipt is not None:
            self.decisions.own(basis.receipt, target)
        if isinstance(decision, Settled | GivenUp):
            self.decisions.settle(target, basis)
        if isinstance(decision, Settled) and decision.holds is not None:
            # Valid when this run began: if another run renders it with other settings by name, that was intended.
            self.note_rendered(decision.holds)
        if isinstance(decision, GivenUp):
            self.given_up.add(target)
            self.left_out.matched = True
            if not decision.known:
                self.warn(decision.reason)

    def note_receipt(self, task: Task, receipt: ReceiptDocument) -> None:
        """Remember the receipt that a job has written: its video was rendered, or there was nothing to render."""
        self.note_rendered(task)
        if receipt.status == "skipped":
            self.left_out.take_skipped(task.target, receipt.notes)
        else:
            self.left_out.matched = True

    def note_rendered(self, task: Task) -> None:
        """Remember that this run has rendered a task, or found it rendered."""
        self.decisions.note_rendered(task.target, task.fingerprint, task.basis.stamps)

    def warn(self, message: str, about: str | None = None) -> None:
        """Log a warning once for each thing that it is `about`: by default, once for each message."""
        key = hash(message if about is None else about)
        if key not in self._said:
            self._said.add(key)
            _log.warning("%s", message)

    def _refuse(self, target: Target, decision: Refused) -> None:
        self.given_up.add(target)
        self.left_out.matched = True
        self.warn(f"not rendered: {_briefly(decision.problem)}")
        place, basis = decision.place, decision.basis
        if place is None or basis is None or self._options.dry_run or not isinstance(decision.problem, AttnwatchError):
            return
        fingerprint, stamps = refusal(place, decision.problem), {target.manifest.name: basis.origins[0]}
        recorded = self.decisions.was_rendered(target, fingerprint, stamps)
        with contextlib.suppress(OSError):  # read-only or full: the log has the warning
            if self._options.out is not None:
                place.open(create=True, parents=True).close()
            record_refusal(place, decision.problem, self._settings.watcher, recorded=recorded)
        self.decisions.note_rendered(target, fingerprint, stamps)
        self.decisions.own(place.path, Target(target.manifest))
        self.decisions.settle(target, replace(basis, receipt=place.path, receipt_stamp=stamp_of(place.path)))


def _briefly(problem: AttnwatchError | OSError) -> str:
    """Describe a problem in one line: of several, the first."""
    problems = problem.problems if isinstance(problem, ContractError) else ()
    if len(problems) < 2:  # noqa: PLR2004 - one needs no count
        return describe(problem)
    return f"{problems[0]} (and {len(problems) - 1:,} more; `attnwatch check` lists all)"
