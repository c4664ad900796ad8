"""Knows which videos a run leaves out although nothing is wrong with them, and why."""

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from attnwatch.batches.passed import named_first
from attnwatch.batches.targets import Target, batch_of
from attnwatch.contract.names import printable
from attnwatch.contract.stamps import stamp_of
from attnwatch.errors import shortened
from attnwatch.report.log import counted
from attnwatch.report.reasons import LONGEST_REASON
from attnwatch.watch.decision import Settled
from attnwatch.watch.options import Options

_MOST = 20  # reasons that are told


class LeftOut:
    """Keeps the reason for each target that a run leaves out.

    Args:
        options: what the run was asked to do.

    Attributes:
        matched: whether the run has found anything that it was asked for.

    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._reasons: dict[Target, str] = {}
        self.matched = False

    def __len__(self) -> int:
        """Return the number of videos that are left out."""
        return len({target.manifest for target in self._reasons})

    @property
    def remembered(self) -> int:
        """Number of targets that a reason is kept for."""
        return len(self._reasons)

    @property
    def targets(self) -> set[Target]:
        """The targets that are left out."""
        return set(self._reasons)

    def take(self, target: Target, decision: Settled) -> None:
        """Note what was decided about a target that needs nothing."""
        self.matched |= decision.chosen
        if decision.why is not None:
            self._reasons[target] = sys.intern(shortened(decision.why, LONGEST_REASON))  # the same for very many

    def take_skipped(self, target: Target, notes: tuple[str, ...]) -> None:
        """Note that a job has found nothing to render; with a choice of words, the video may have none of them."""
        self.take(target, Settled(why="; ".join(notes), chosen=self._options.tokens is None))

    def discard(self, target: Target) -> None:
        """Forget why a target was left out."""
        self._reasons.pop(target, None)

    def prune(self) -> None:
        """Forget deleted videos."""
        self._reasons = {target: why for target, why in self._reasons.items() if stamp_of(target.manifest) is not None}

    def reasons(self) -> tuple[str, ...]:
        """Return the most frequent reasons, each with the number of videos that it is true of."""
        videos = dict.fromkeys((target.manifest, reason) for target, reason in self._reasons.items())
        counts = Counter(reason for _, reason in videos)
        return tuple(f"{counted(number, 'video')}: {reason}" for reason, number in counts.most_common(_MOST))

    def nothing(self) -> str | None:
        """Return what to say if the user's choice matches nothing; None if it does, or if there is no choice."""
        if self.matched or not self._options.chooses:
            return None
        if not self._reasons:
            roots = ", ".join(printable(str(root)) for root in self._options.roots)
            return f"found no finished video in {roots}; expected at least one; `attnwatch status` says what is there"
        return "; ".join(["nothing to render: found no video that was asked for", *self.reasons(), *self._hints()])

    def _hints(self) -> Iterator[str]:
        manifests = {target.manifest for target in self._reasons}
        if self._options.batch is not None:
            batches = sorted({batch_of(manifest).name for manifest in manifests})
            yield f"the batches are {named_first(batches)}"
        stamps = [stamp for stamp in map(stamp_of, manifests) if stamp is not None]
        if self._options.since is not None and stamps:
            last = datetime.fromtimestamp(max(stamp.modified for stamp in stamps) / 1e9)
            yield f"the last video was finished at {last:%Y-%m-%d %H:%M:%S}"
