"""The decisions that the planner can make about a target. They are plain values; only `Ledger.apply` acts on them.

- `Render`: it is due now.
- `NotYet`: it will be due later, and why.
- `Settled`: it needs nothing until one of its files changes.
- `GivenUp`: it will not be rendered, although its outputs are missing or outdated.
- `Refused`: its manifest cannot be rendered at all.
"""

from dataclasses import dataclass
from typing import TypeAlias

from attnwatch.contract.receipts import Place
from attnwatch.errors import AttnwatchError
from attnwatch.settings import Visualization
from attnwatch.watch.task import Basis, Task


@dataclass(frozen=True, kw_only=True)
class _Decision:
    """Fields of all decisions.

    Attributes:
        basis: what it depends on; None if the target does not exist, or is not one that this run was asked for.
        notes: warnings about the manifest's settings.
        collection: the settings of the batch's collection, if the target belongs to one.

    """

    basis: Basis | None = None
    notes: tuple[str, ...] = ()
    collection: Visualization | None = None


@dataclass(frozen=True)
class Render(_Decision):
    """Render the target now."""

    task: Task


@dataclass(frozen=True)
class NotYet(_Decision):
    """Render the target in `seconds` from now; `why` not earlier."""

    task: Task
    seconds: float
    why: str


@dataclass(frozen=True)
class Settled(_Decision):
    """Do nothing until one of the files changes.

    Attributes:
        holds: the task that the receipt is valid for; None if this run has rendered it, or no rendering is wanted.
        why: why nothing is rendered, although the video is there; None if it was rendered.
        chosen: whether it is among what this run was asked for.

    """

    holds: Task | None = None
    why: str | None = None
    chosen: bool = True


@dataclass(frozen=True)
class GivenUp(_Decision):
    """Do nothing, and count the target as failed.

    Attributes:
        reason: for the log, with what the user can do.
        known: the log has it already, from the attempt that failed last.

    """

    reason: str
    known: bool = False


@dataclass(frozen=True)
class Refused(_Decision):
    """Do nothing, because the manifest is wrong or another video owns the outputs; count the target as failed.

    Attributes:
        problem: what is wrong.
        place: of the receipt that records it; None if another video owns the receipt, or if it cannot be read now. An
            `OSError` is never recorded, because it may pass.

    """

    problem: AttnwatchError | OSError
    place: Place | None = None


Decision: TypeAlias = Render | NotYet | Settled | GivenUp | Refused
