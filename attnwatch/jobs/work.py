"""What an engine runs, and what comes back: `Work` goes into a process of its own, a `Result` comes out."""

from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol, Self

from attnwatch.contract.documents import ReceiptDocument
from attnwatch.contract.receipts import describe
from attnwatch.errors import BusyError, JobError
from attnwatch.system.limits import Limits
from attnwatch.system.shortage import Shortage, shortage_behind


@dataclass(frozen=True)
class Result:
    """How a job ended: with a receipt, or without because nothing was tried.

    Attributes:
        receipt: as written; None when nothing was tried.
        obstacle: why nothing was tried, None when there is a receipt.
        busy: the obstacle is another process that renders this video.
        shortage: the obstacle is that something has run out.
        unchanged: the receipt is the former one, its files were only touched.

    """

    receipt: ReceiptDocument | None
    obstacle: str | None = None
    busy: bool = False
    shortage: Shortage | None = None
    unchanged: bool = False


def obstructed(error: BaseException) -> Result:
    """Return the result for an error that says nothing about the video."""
    return Result(None, describe(error), isinstance(error, BusyError), shortage_behind(error))


class Work(Protocol):
    """What a process is started for; it and its answer are picklable."""

    @property
    def limits(self) -> Limits:
        """What its process may use."""

    def at_home(self) -> Self:
        """Change into the folder where it works; return it with paths as seen from there."""

    def run(self) -> object:
        """Do it; called in the process."""


def run_in_process(work: Work, results: "Connection[Any, Any]") -> None:
    """Entry point of the job's process."""
    work.limits.impose()
    try:
        results.send(work.at_home().run())
    except OSError as error:  # the folder is gone, or nobody reads the result
        results.send(obstructed(error))
    except Exception as error:
        # Nobody expected it: its text goes into the receipt, its traceback to stderr.
        results.send(JobError(f"the rendering process failed with {type(error).__name__}: {error}"))
        raise
