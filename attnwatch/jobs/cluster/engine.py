"""The engine that runs jobs on the workers of a Dask cluster, each in a process of its own as on this machine."""

import contextlib
import itertools
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from attnwatch.errors import EngineError, WorkerLostError
from attnwatch.jobs.cluster.address import Address
from attnwatch.jobs.cluster.connecting import silence_dask
from attnwatch.jobs.cluster.expected import ExpectedFolder, expected_folder
from attnwatch.jobs.cluster.paths import PathMap
from attnwatch.jobs.cluster.session import Session
from attnwatch.jobs.engine import Finished, Folders, Waitable
from attnwatch.jobs.work import Work
from attnwatch.system.signals import drain

if TYPE_CHECKING:
    from attnwatch.jobs.cluster.remote import Ended


@dataclass
class _Started:
    job: Work
    since: float


class DaskEngine:
    """Runs jobs on a cluster; a context manager that ends those that run.

    A job whose worker dies starts again elsewhere: the scheduler sees to that, or the watcher if the scheduler is
    gone. Its outcome is then a `WorkerLostError`.

    Args:
        address: of the cluster.
        folders: of the watcher; workers must have them.
        paths: where workers have them.

    """

    def __init__(self, address: Address, folders: Folders, paths: PathMap) -> None:
        self._folders = folders
        self._paths = paths
        self._session = Session(address, self._expected, self._take, self._wake)
        self._jobs: dict[int, _Started] = {}
        self._keys: dict[int, str] = {}  # by the identity of the job
        self._numbers = itertools.count()
        self._token = secrets.token_hex(3)  # watchers share the scheduler
        self._lock = threading.Lock()
        self._outcomes: list[tuple[int, bytes | Exception]] = []
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)

    def __enter__(self) -> "DaskEngine":
        silence_dask()
        try:
            self._session.open()
        except EngineError:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def running(self) -> int:
        """Number of jobs that were sent and have not ended."""
        return len(self._jobs)

    @property
    def slots(self) -> int:
        """Number of jobs that the cluster takes at present."""
        return self._session.state.slots

    @property
    def obstacle(self) -> str | None:
        """Why the cluster runs no jobs at present; None if it can."""
        return self._session.state.obstacle

    def worker_of(self, job: Work) -> str | None:
        """Return the name of the worker that has a job; None if none has it yet."""
        return self._session.state.places.get(self._keys.get(id(job), ""))

    def start(self, job: Work) -> None:
        """Send a job."""
        number = next(self._numbers)
        key = f"{job.label}-{self._token}-{number}"
        self._jobs[number] = _Started(job, time.monotonic())
        self._keys[id(job)] = key
        self._session.send(number, key, self._paths.pack(job))

    def wait(self, timeout: float | None, others: Sequence[Waitable] = ()) -> list[Finished]:
        """Wait until a job ends, the number of slots changes, one of `others` is readable or the time is over.

        Raises:
            EngineError: the connection is lost, and none will be made.

        """
        wait([self._woken, *others], timeout)
        drain(self._woken)
        if self._session.failure is not None:
            raise EngineError(self._session.failure)
        return self._ended()

    def stop(self) -> list[Finished]:
        """End all jobs and the connection; return the jobs that ended in time."""
        if self._waker.fileno() < 0:
            return []
        finished = self._ended()
        self._session.close()
        self._woken.close()
        self._waker.close()
        self._jobs.clear()
        self._keys.clear()
        return finished

    def _ended(self) -> list[Finished]:
        with self._lock:
            outcomes, self._outcomes = self._outcomes, []
        return [self._finish(number, outcome) for number, outcome in outcomes if number in self._jobs]

    def _finish(self, number: int, outcome: bytes | Exception) -> Finished:
        started = self._jobs.pop(number)
        del self._keys[id(started.job)]
        if isinstance(outcome, Exception):
            return Finished(started.job, outcome, time.monotonic() - started.since)
        try:
            ended: Ended = self._paths.unpack(outcome)
        except Exception as error:  # noqa: BLE001 - a worker of another version
            return Finished(started.job, WorkerLostError(f"found an outcome that cannot be read: {error!r}"), 0.0)
        if ended.unfit is not None:
            self._session.refuse(ended)
        return Finished(started.job, ended.outcome, ended.seconds)

    def _take(self, number: int, outcome: bytes | Exception) -> None:
        """Take an outcome, in the thread of the session."""
        with self._lock:
            self._outcomes.append((number, outcome))
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full, so it is awake; or closed
            self._waker.send(b".")

    def _expected(self) -> tuple[ExpectedFolder, ...]:
        there = self._paths.there
        return tuple(
            expected_folder(folder, there(folder), is_written=is_written)
            for folder, is_written in self._folders()
            if folder.is_dir()
        )
