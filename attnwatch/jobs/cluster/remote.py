"""What runs on workers of a cluster: a job, in the worker's host, and the check whether the worker is fit for jobs."""

import asyncio
import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

from distributed import get_worker

from attnwatch.errors import WorkerLostError
from attnwatch.jobs.cluster.expected import Answer, Expected, look
from attnwatch.jobs.work import Work

_FIT_FOR = 60.0  # seconds that a check holds


@dataclass(frozen=True)
class Ended:
    """The end of a job on a worker.

    Attributes:
        outcome: as in `attnwatch.jobs.engine.Finished`.
        seconds: from its start to its end.
        worker: address of the worker.
        unfit: why the worker did not start it, because something is wrong with the worker; None if it did.

    """

    outcome: object
    seconds: float
    worker: str
    unfit: str | None = None


def run_packed(packed: bytes, expected: Expected) -> bytes:
    """Run a job that was packed for workers, in a process of its own; return its pickled `Ended`."""
    worker = get_worker()
    if (unfit := _checked(expected)) is not None:
        outcome: object = WorkerLostError(f"{worker.address} is not fit for jobs: {unfit}")
        return pickle.dumps(Ended(outcome, 0.0, worker.address, unfit))
    job: Work = pickle.loads(packed)  # noqa: S301 - from our own watcher
    outcome, seconds = _host().run(worker.get_current_task(), job)
    return pickle.dumps(Ended(outcome, seconds, worker.address))


async def check(expected: Expected) -> Answer:
    """Check this worker, in a thread: a mount that does not answer must not stop the worker. Readies it for jobs."""

    def look_and_prepare() -> Answer:
        answer = look(expected)
        if answer.problem is None:
            _host()
        return answer

    return await asyncio.to_thread(look_and_prepare)


def dask_setup(_worker: object) -> None:
    """Leave Ctrl+C to the watcher, which ends its workers; Dask calls this at the start of those on its machine."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def drop(keys: list[str]) -> None:
    """End jobs of this worker: their watcher stops."""
    with _starting:
        if _hosts:
            _hosts[0].drop(set(keys))


class _Host:
    """The worker's side of `attnwatch.jobs.cluster.host`."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this program
                [sys.executable, "-P", "-m", "attnwatch.jobs.cluster.host", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._connection: Connection[Any, Any] = Connection(ours.detach())
        # Two locks: what listens must never wait for an order that the host does not read while it sends an outcome.
        self._lock, self._ordering = threading.Lock(), threading.Lock()
        self._numbers = count()
        self._waiting: dict[int, tuple[str, Future[tuple[object, float]]]] = {}
        self.is_alive = True
        threading.Thread(target=self._listen, name="attnwatch host", daemon=True).start()

    def run(self, key: str, job: Work) -> tuple[object, float]:
        """Run a job; return outcome and seconds."""
        answer: Future[tuple[object, float]] = Future()
        try:
            with self._ordering:
                with self._lock:
                    number = next(self._numbers)
                    self._waiting[number] = key, answer
                    if not self.is_alive:  # nobody listens any more
                        raise BrokenPipeError
                self._connection.send((number, job))
        except OSError:
            return _lost(), 0.0
        return answer.result()

    def drop(self, keys: set[str]) -> None:
        """End jobs."""
        with self._ordering, contextlib.suppress(OSError):
            with self._lock:
                numbers = [number for number, (key, _) in self._waiting.items() if key in keys]
            for number in numbers:
                self._connection.send((number, None))

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                number, outcome, seconds = self._connection.recv()
                with self._lock:
                    _, answer = self._waiting.pop(number)
                answer.set_result((outcome, seconds))
        with self._lock:
            self.is_alive = False
            left, self._waiting = self._waiting, {}
        for _, answer in left.values():
            answer.set_result((_lost(), 0.0))
        self._process.wait()


_starting = threading.Lock()
_hosts: list[_Host] = []
"""The host of this worker, if there is one."""
_fit: dict[Expected, float] = {}
"""When each check of this worker was passed last."""


def _host() -> _Host:
    with _starting:
        if not (_hosts and _hosts[0].is_alive):
            _hosts[:] = [_Host()]
        return _hosts[0]


def _checked(expected: Expected) -> str | None:
    """Return what is wrong with this worker; None if nothing is, or was at the last check."""
    now = time.monotonic()
    if now - _fit.get(expected, float("-inf")) < _FIT_FOR:
        return None
    problem = expected.problem()
    if problem is None:
        _fit.clear()  # of earlier watchers
        _fit[expected] = now
    return problem


def _lost() -> WorkerLostError:
    return WorkerLostError(f"the process of worker {os.getpid()} that forks jobs has ended")
