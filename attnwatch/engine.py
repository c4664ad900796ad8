"""Where jobs run: processes of this machine, forked from a server that has already imported what rendering needs."""

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import Any, TypeAlias

from attnwatch.errors import JobError
from attnwatch.jobs import Work, run_in_process

_PRELOADED = ["attnwatch.cli", "attnwatch.jobs", "attnwatch.render.video", "matplotlib.colors"]
_KILL_AFTER = 5.0  # seconds between TERM and KILL
_EXIT_TIME = 1.0  # seconds that a process may take to exit after its result


Waitable: TypeAlias = "Connection[Any, Any] | socket.socket"


@dataclass(frozen=True)
class Finished:
    """A job that ended, with its result or the error that took its process."""

    job: Work
    outcome: object
    seconds: float


@dataclass
class _Running:
    job: Work
    process: ForkServerProcess
    results: "Connection[Any]"
    started: float
    deadline: float
    timed_out: bool = False

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class LocalEngine:
    """Runs jobs in processes of their own, each with a deadline; a context manager that leaves none behind."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)
        self._running: list[_Running] = []

    def __enter__(self) -> "LocalEngine":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def running(self) -> int:
        """Number of jobs under way."""
        return len(self._running)

    def start(self, job: Work) -> None:
        """Start a job's process."""
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=run_in_process, args=(job, sender), daemon=True)
        process.start()
        sender.close()
        now = time.monotonic()
        self._running.append(_Running(job, process, receiver, now, now + job.timeout))

    def wait(self, timeout: float | None, others: Sequence[Waitable] = ()) -> list[Finished]:
        """Wait until a job ends, another connection is readable, or the time is over; return what ended."""
        until = [running.deadline for running in self._running]
        if timeout is not None:
            until.append(time.monotonic() + timeout)
        seconds = max(0.0, min(until) - time.monotonic()) if until else None
        wait([*others, *(running.results for running in self._running)], seconds)
        self._end_overdue()
        ended = [running for running in self._running if running.results.poll()]
        self._running = [running for running in self._running if running not in ended]
        return [_collect(running) for running in ended]

    def stop(self) -> None:
        """End all jobs: TERM, then KILL for what is still there; whatever they were making is left unfinished."""
        for running in self._running:
            _signal_group(running.process, signal.SIGTERM)
        limit = time.monotonic() + _KILL_AFTER
        for running in self._running:
            running.process.join(max(0.0, limit - time.monotonic()))
            _signal_group(running.process, signal.SIGKILL)
            running.process.join()
            running.results.close()
        self._running.clear()

    def _end_overdue(self) -> None:
        now = time.monotonic()
        for running in self._running:
            if now >= running.deadline and not running.results.poll():
                _signal_group(running.process, signal.SIGKILL if running.timed_out else signal.SIGTERM)
                running.timed_out = True
                running.deadline = now + _KILL_AFTER


def _collect(running: _Running) -> Finished:
    outcome: object
    try:
        outcome = running.results.recv()
    except (EOFError, OSError):  # ended before its result, or in the middle of it
        running.process.join()
        outcome = JobError(_ending(running))
    running.results.close()
    running.process.join(_EXIT_TIME)
    # Whatever the job started goes with it: its session has the job's process id.
    _signal_group(running.process, signal.SIGKILL)
    running.process.join()
    return Finished(running.job, outcome, running.seconds)


def _ending(running: _Running) -> str:
    limit = running.job.timeout
    if running.timed_out:
        return f"not finished after {limit:g} s; raise visualization_timeout (now {limit:g}) if it needs longer"
    code = running.process.exitcode or 0
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
    return f"the rendering process {how} without a result; `attnwatch check` on the video may say why"


def _signal_group(process: ForkServerProcess, number: signal.Signals) -> None:
    if process.pid is None:
        return
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        # No such group: it has ended, or has not made its own session yet.
        if process.exitcode is None:
            process.kill() if number == signal.SIGKILL else process.terminate()
