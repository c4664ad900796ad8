"""The engine that runs jobs on this machine, each in a process of its own with limits and a deadline."""

import contextlib
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from signal import SIGKILL, SIGTERM, SIGXCPU, Signals
from typing import Any, NoReturn

from attnwatch.errors import EngineError, JobError, SlowMachineError
from attnwatch.jobs.deadline import Deadline, Verdict
from attnwatch.jobs.engine import Finished, Waitable
from attnwatch.jobs.work import Work, obstructed
from attnwatch.report.log import STDERR
from attnwatch.system.forkserver import ForkServer
from attnwatch.system.limits import SINGLE_THREADED
from attnwatch.system.shortage import shortage_behind
from attnwatch.system.usage import Usage, usage_of

_log = logging.getLogger(__name__)

_PRELOADED = ("attnwatch.render.video", "attnwatch.jobs.measures", "attnwatch.jobs.sheets", "matplotlib.colors")
_KILL_AFTER = 5.0  # seconds between TERM and KILL
_LEFT_AFTER = 5.0  # seconds between KILL and abandoning a process that the kernel cannot end
_STOP_AFTER = 1.0  # seconds after TERM and after KILL in `stop`
_STOOD_STILL = 2.0  # seconds by which a wait is late if this process was stopped, and perhaps its jobs with it


@dataclass
class _Running:
    job: Work
    results: "Connection[Any, Any] | None"
    deadline: Deadline
    outcome: object = None
    sent: Signals | None = None
    """The last signal that was sent because its time was over."""
    verdict: Verdict | None = None
    """Why its time was over."""
    usage: Usage | None = None
    """What it had used by then."""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.deadline.started


class LocalEngine:
    """Runs each job in a process of its own; a context manager that leaves no process behind.

    Enter it before this process has threads, because entering forks the server of the jobs' processes.
    """

    def __init__(self) -> None:
        self._running: dict[int, _Running] = {}
        self._server: ForkServer | None = None

    def __enter__(self) -> "LocalEngine":
        try:
            self._server = ForkServer(run_here, _PRELOADED, SINGLE_THREADED)
        except OSError as error:
            raise EngineError(f"no process can be started ({error.strerror}); raise the limit (ulimit -u)") from error
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def running(self) -> int:
        """Number of jobs that are running."""
        return len(self._running)

    @property
    def slots(self) -> None:
        """None: as many as the setting `workers` says."""

    @property
    def obstacle(self) -> None:
        """None: nothing keeps it from taking jobs."""

    def worker_of(self, job: Work) -> None:
        """Return None: jobs run on this machine."""

    @property
    def server(self) -> ForkServer:
        """The fork server.

        Raises:
            EngineError: the engine was not entered, or the server has ended.

        """
        if self._server is None:
            raise EngineError("the process that starts renderings is not running; enter the engine first")
        return self._server

    def start(self, job: Work) -> None:
        """Start a job in a new process.

        Raises:
            OSError: this process has run out of file descriptors.
            EngineError: the fork server has ended.

        """
        seconds = job.limits.seconds
        try:
            number, results = self.server.start(job)
        except BrokenPipeError:
            self._lose_server()
        self._running[number] = _Running(job, results, Deadline(seconds, time.monotonic()))

    def wait(self, timeout: float | None, others: Sequence[Waitable] = ()) -> list[Finished]:
        """Wait until a job ends, one of `others` is readable or `timeout` seconds have passed; return the ended jobs.

        Raises:
            EngineError: the fork server has ended, and every job with it.

        """
        start = time.monotonic()
        until = [running.deadline.due for running in self._running.values()]
        if timeout is not None:
            until.append(start + timeout)
        seconds = max(0.0, min(until) - start) if until else None
        results = [running.results for running in self._running.values() if running.results is not None]
        wait([self.server.connection, *results, *others], seconds)
        if seconds is not None and (late := time.monotonic() - start - seconds) > _STOOD_STILL:
            for running in self._running.values():
                running.deadline.shift(late)
        return self._ended()

    def drop(self, job: Work) -> None:
        """End a job with TERM, then KILL; it ends without a result, which `wait` returns."""
        for number, running in self._running.items():
            if running.job is job and running.sent is None:
                running.deadline.due = time.monotonic() + _KILL_AFTER
                running.sent = SIGTERM
                self.server.signal(number, SIGTERM)

    def stop(self) -> list[Finished]:
        """End all jobs with TERM, then KILL; their unfinished files remain. Return the jobs that ended in time."""
        finished: list[Finished] = []
        if self._server is None:
            return finished
        try:
            for signal in (SIGTERM, SIGKILL):
                limit = time.monotonic() + _STOP_AFTER
                for number in self._running:
                    self.server.signal(number, signal)
                while self._running and time.monotonic() < limit:
                    finished += self.wait(limit - time.monotonic())
        except EngineError:
            return finished
        self._server.close()
        self._forget_all()
        return finished

    def _ended(self) -> list[Finished]:
        for running in self._running.values():
            _take_outcome(running)
        try:
            ended = self.server.ended()
        except EOFError:
            self._lose_server()
        found = [self._finish(number, code) for number, code in ended if number in self._running]
        return found + [self._finish(number, None) for number in self._hurry()]

    def _hurry(self) -> list[int]:
        """Signal jobs whose time is over; return those that even KILL did not end."""
        now, immortal = time.monotonic(), []
        for number, running in self._running.items():
            if now < running.deadline.due or (running.sent is None and self._may_go_on(number, running)):
                continue
            if running.sent is SIGKILL:
                immortal.append(number)
                continue
            running.deadline.due = now + (_KILL_AFTER if running.sent is None else _LEFT_AFTER)
            running.sent = SIGTERM if running.sent is None else SIGKILL
            self.server.signal(number, running.sent)
        return immortal

    def _may_go_on(self, number: int, running: _Running) -> bool:
        """Judge a job that is due: read what it has used so far. Its time does not run before its process does."""
        pid = self.server.pid(number)
        running.usage = Usage.of_waiting(running.seconds) if pid is None else usage_of(pid)
        running.verdict = running.deadline.look(time.monotonic(), running.usage)
        return running.verdict is None

    def _finish(self, number: int, code: int | OSError | None) -> Finished:
        running = self._running.pop(number)
        _take_outcome(running)
        if running.results is not None:
            running.results.close()
        if isinstance(code, OSError):
            return Finished(running.job, code, running.seconds)
        outcome = _without_result(running, code) if running.outcome is None else running.outcome
        return Finished(running.job, outcome, running.seconds)

    def _lose_server(self) -> NoReturn:
        server, self._server = self.server, None
        server.close()
        self._forget_all()
        found = "the process that starts renderings has ended, and the running renderings with it"
        raise EngineError(f"{found}; `dmesg` may say why")

    def _forget_all(self) -> None:
        for running in self._running.values():
            if running.results is not None:
                running.results.close()
        self._running.clear()
        self._server = None


def run_here(work: Work, results: "Connection[Any, Any]") -> None:
    """Run a job in this process, under its limits and in its home folder, and send its result.

    What a job does not expect goes into its receipt as a `JobError`, and with a traceback to the log.
    """
    STDERR.hand_over()  # a reader that has stopped reading must not make the job late
    work.limits.impose()
    try:
        if (home := work.home) is not None:
            with home.open() as folder:  # what it is reached by may be exchanged before the job begins
                os.fchdir(folder.fileno())
            work = work.seen_from(home.path)
        results.send(work.run())
    except OSError as error:  # the folder is gone, or the watcher does not read the result any more
        results.send(obstructed(error))
    except Exception as error:
        if shortage_behind(error) is not None:  # no thread can be started
            results.send(obstructed(error))
            return
        failed = f"the rendering process failed with {type(error).__name__}: {error}"
        results.send(JobError(failed))
        _log.exception("%s", failed)
        raise SystemExit(1) from error
    finally:
        STDERR.finish()


def _take_outcome(running: _Running) -> None:
    """Read the result of a job as soon as it arrives: a long one does not fit into the pipe."""
    if running.results is None or not running.results.poll():
        return
    with contextlib.suppress(EOFError, OSError):  # the job ended before it had sent its result
        running.outcome = running.results.recv()
    running.results.close()
    running.results = None


def _without_result(running: _Running, code: int | None) -> JobError | SlowMachineError:
    """Return why a job has ended without a result."""
    if running.sent is None:
        return JobError(_ending(code or 0))
    stuck = "" if code is not None else "; its process cannot be ended, perhaps because a network mount has gone away"
    limit, usage = running.deadline.limit, running.usage
    used = f"{usage.computed:.1f} s of processor time" if usage is not None else "an unknown share of the processor"
    if running.verdict is Verdict.STARVED:
        found = f"the job got only {used} in {running.seconds:.0f} s{stuck}"
        expected = "more of the processor and the disk; stop other programs, or set fewer workers"
        return SlowMachineError(f"slow machine: {found}; expected {expected}; it starts again without a failed attempt")
    return JobError(
        f"not finished after {limit:g} s; raise visualization_timeout if it needs longer (it got {used}){stuck}"
    )


def _ending(code: int) -> str:
    if code == -SIGXCPU:
        return "stopped by the limit on its processor time; raise visualization_timeout if it needs longer"
    how = f"was ended by {Signals(-code).name}" if code < 0 else f"exited with code {code}"
    return f"the rendering process {how} without a result; `attnwatch check` on the video may say why"
