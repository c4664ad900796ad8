"""What an engine runs: `Work` describes a job and runs it, a `Result` says how a rendering ended. Both are pickled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from attnwatch.contract.documents import ReceiptDocument
from attnwatch.contract.receipts import describe
from attnwatch.errors import BusyError, NoRoomError, SlowMachineError, WorkerLostError
from attnwatch.system.limits import Limits
from attnwatch.system.roots import Root
from attnwatch.system.shortage import Shortage, shortage_behind


class Work(Protocol):
    """One job. It says what it needs; how that is enforced is the engine's business."""

    @property
    def label(self) -> str:
        """What it is called where jobs are listed: what is done, and to what."""

    @property
    def limits(self) -> Limits:
        """Resources that the job may use."""

    @property
    def home(self) -> Root | None:
        """Folder to run in, so that a batch may be renamed meanwhile; None for no particular one."""

    def seen_from(self, folder: Path) -> Self:
        """Return the same job with paths relative to a folder."""

    def run(self) -> object:
        """Run the job in this process and return its result."""


@dataclass(frozen=True)
class Result:
    """The end of a rendering: a receipt, or the reason why nothing was tried.

    Attributes:
        receipt: as written; None if nothing was tried.
        obstacle: why nothing was tried; None if there is a receipt.
        busy: the obstacle is another process that renders the same video.
        lost: the obstacle is that the worker of a cluster was lost.
        shortage: the obstacle is that a resource has run out.
        unchanged: the receipt is the previous one; only timestamps of the files had changed.
        starved: the obstacle is that other programs left the job too little of the machine.
        linked: the outputs are those beside the video, linked into the collection of its batch.
        stages: seconds of each stage, see `attnwatch.jobs.stages`.

    """

    receipt: ReceiptDocument | None
    obstacle: str | None = None
    busy: bool = False
    shortage: Shortage | None = None
    unchanged: bool = False
    starved: bool = False
    linked: bool = False
    lost: bool = False
    stages: Mapping[str, float] = field(default_factory=dict)


def obstructed(error: BaseException) -> Result:
    """Return the result of an error that is not the video's fault."""
    return Result(
        None,
        describe(error),
        isinstance(error, BusyError),
        Shortage.TEMPORARY if isinstance(error, NoRoomError) else shortage_behind(error),
        starved=isinstance(error, SlowMachineError),
        lost=isinstance(error, WorkerLostError),
    )
