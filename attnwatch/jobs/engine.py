"""The interface between the watcher and whatever runs its jobs."""

import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from attnwatch.jobs.work import Work

Waitable: TypeAlias = "Connection[Any, Any] | socket.socket"
Folders: TypeAlias = Callable[[], Iterable[tuple[Path, bool]]]
"""Returns the folders that jobs work in, each with whether they write there."""


@dataclass(frozen=True)
class Finished:
    """A job that has ended.

    Attributes:
        job: as it was started.
        outcome: what `Work.run` returned; a `JobError` if the job ended without a result (it crashed, was killed or
            exceeded its time limit); a `SlowMachineError` if it was not let work; a `WorkerLostError` if the machine
            that ran it was lost; an `OSError` if it could not be started.
        seconds: from its start to its end.

    """

    job: Work
    outcome: object
    seconds: float


class Engine(Protocol):
    """Runs jobs, each isolated from the others and from the watcher, within `Work.limits`."""

    @property
    def running(self) -> int:
        """Number of jobs that were started and have not been returned by `wait` or `stop`."""

    @property
    def slots(self) -> int | None:
        """Number of jobs that it takes at the same time at present; None for as many as the setting `workers` says."""

    @property
    def obstacle(self) -> str | None:
        """Why no job can run at present; None if they can."""

    def worker_of(self, job: Work) -> str | None:
        """Return which worker of a cluster has a job; None on this machine, or if none has it yet."""

    def start(self, job: Work) -> None:
        """Start a job; return at once.

        Raises:
            OSError: a resource of this machine has run out; later attempts may succeed.
            EngineError: the engine has failed and cannot start anything any more.

        """

    def wait(self, timeout: float | None, others: Sequence[Waitable] = ()) -> list[Finished]:
        """Wait until a job ends, one of `others` is readable, or `timeout` seconds have passed; None for no timeout.

        Returns the jobs that have ended since the last call.

        Raises:
            EngineError: the engine has failed; the jobs under way are lost.

        """

    def stop(self) -> list[Finished]:
        """End all jobs and the engine; return the jobs that ended in time."""
