"""Fork server: a single-threaded process that has imported what rendering needs, and forks the jobs.

It is forked from the watcher before that has threads, files or work, so nothing is imported twice. Python's own fork
server starts a new interpreter and does not track the descendants of its children. Here the kernel ties their lives
together:

- When the watcher dies, the server reads end of file on its connection and kills all jobs.
- When the server dies, the kernel kills its jobs, and the watcher reads end of file on the connection.
- When a job ends, everything it started is killed, even in other sessions, because the server adopts orphans.
"""

import contextlib
import errno
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any

from attnwatch.system.kernel import adopt_orphans, end_with_parent

Target = Callable[[Any, "Connection[Any, Any]"], object]

_START, _SIGNAL = "start", "signal"
_BEGUN, _ENDED = "begun", "ended"
_FILLING = b"."  # at least one byte must accompany a descriptor
_NOT_FOR_SERVERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 1.0  # seconds the server may take to end
_GLANCE = 0.005


class ForkServer:
    """Watcher's side: starts processes, signals them, and returns their exit codes.

    Args:
        target: called in each process with its work and the connection for its result.
        preload: names of modules to import before the first process is forked.
        environment: variables to set for these imports and for all processes.

    Raises:
        OSError: no process can be started.

    """

    def __init__(self, target: Target, preload: Sequence[str] = (), environment: dict[str, str] | None = None) -> None:
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        # Blocked before the fork: an interrupt of the terminal reaches the server too, which would raise it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_FOR_SERVERS)
        try:
            self._pid = os.fork()
            if self._pid == 0:
                ours.close()
                _run_and_exit(lambda: _Server(theirs, target).run(preload, environment or {}))
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._socket = ours  # for descriptors; the same stream as the connection
        self.connection = _connection_on(ours)
        self._last = 0
        self._pids: dict[int, int] = {}
        self._ended: list[tuple[int, int | OSError]] = []

    def start(self, work: object) -> "tuple[int, Connection[Any, Any]]":
        """Start a process for some work; return its number and the connection that will carry its result.

        Raises:
            OSError: no file descriptor is left, or the server has ended.

        """
        receiver, sender = Pipe(duplex=False)
        try:
            self._last += 1
            self.connection.send((_START, self._last, work))
            socket.send_fds(
                self._socket, [_FILLING], [sender.fileno()]
            )  # needs no new descriptor, so it cannot run out of them
        except OSError:
            receiver.close()
            raise
        finally:
            sender.close()
        return self._last, receiver

    def signal(self, number: int, what: signal.Signals) -> None:
        """Send a signal to a process and the rest of its session; ignored if it has ended."""
        with contextlib.suppress(OSError):
            self.connection.send((_SIGNAL, number, what))

    def ended(self) -> list[tuple[int, int | OSError]]:
        """Return number and exit code of each process that has ended since the last call.

        The exit code is negative for a signal, and an error if the process could not be started.

        Raises:
            EOFError: the server has ended, and every process with it.

        """
        self._listen()
        found, self._ended = self._ended, []
        return found

    def pid(self, number: int) -> int | None:
        """Return the id of a process; None if it had not begun when `ended` was called last, or had ended."""
        return self._pids.get(number)

    def _listen(self) -> None:
        try:
            while self.connection.poll():
                what, number, detail = self.connection.recv()
                if what == _BEGUN:
                    self._pids[number] = detail
                else:
                    self._pids.pop(number, None)
                    self._ended.append((number, detail))
        except ConnectionResetError as error:
            raise EOFError from error

    def close(self) -> None:
        """End the server and all its processes, even if it was stopped; what the kernel cannot end is left to it."""
        self.connection.close()
        self._socket.close()
        limit = time.monotonic() + _PATIENCE
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            os.kill(self._pid, signal.SIGCONT)  # so that it notices
            while os.waitpid(self._pid, os.WNOHANG) == (0, 0) and time.monotonic() < limit:
                time.sleep(_GLANCE)


class _Server:
    """Server's side: forks, signals and reaps, in one thread."""

    def __init__(self, watcher: socket.socket, target: Target) -> None:
        self._socket = watcher
        self._watcher = _connection_on(watcher)
        self._target = target
        self._numbers: dict[int, int] = {}  # process id -> number, until the process is reaped

    def run(self, preload: Sequence[str], environment: dict[str, str]) -> None:
        """Serve until the watcher has ended."""
        os.setsid()  # out of reach of signals to the watcher's terminal or process group
        adopt_orphans()
        # Blocked, not ignored: a job would inherit that, and lose signals sent before it has its own handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_FOR_SERVERS)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])  # whoever started the watcher may have blocked it
        for number in _NOT_FOR_SERVERS:
            signal.signal(number, signal.SIG_DFL)
        os.environ.update(environment)
        gc.disable()  # imported modules stay
        for module in preload:
            import_module(module)
        gc.freeze()  # a collection would copy the pages shared with the jobs
        gc.enable()
        woken, waker = socket.socketpair()
        waker.setblocking(False)
        woken.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        with contextlib.suppress(EOFError, OSError):
            while True:
                ready = wait([self._watcher, woken])
                if woken in ready:
                    woken.recv(4096)
                    self._reap()
                if self._watcher in ready:
                    self._obey(self._watcher.recv())
        self._end_all()

    def _obey(self, order: tuple[str, int, Any]) -> None:
        what, number, detail = order
        if what == _START:
            self._start(number, detail)
            return
        for pid in [pid for pid, known in self._numbers.items() if known == number]:
            _signal_session(pid, detail)

    def _start(self, number: int, work: object) -> None:
        _, descriptors, _, _ = socket.recv_fds(self._socket, len(_FILLING), 1)
        if not descriptors:  # the kernel drops descriptors beyond the limit of this process
            self._watcher.send((_ENDED, number, OSError(errno.EMFILE, os.strerror(errno.EMFILE))))
            return
        results: Connection[Any, Any] = Connection(descriptors[0], readable=False)
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # no memory, or too many processes
            results.close()
            self._watcher.send((_ENDED, number, _explained(error)))
            return
        if pid == 0:
            _run_and_exit(lambda: self._become_job(parent, work, results))
        self._numbers[pid] = number
        results.close()
        self._watcher.send((_BEGUN, number, pid))

    def _become_job(self, parent: int, work: object, results: "Connection[Any, Any]") -> None:
        os.setsid()
        end_with_parent()
        if os.getppid() != parent:
            return  # the server died before the prctl call
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _NOT_FOR_SERVERS)
        self._watcher.close()
        self._socket.close()
        self._target(work, results)

    def _reap(self) -> None:
        """Reap every process that has ended, and kill what it left behind."""
        while (found := _exited()) is not None:
            number = self._numbers.pop(found, None)
            if number is not None:
                _signal_session(found, signal.SIGKILL)  # before reaping: its process id cannot have been reused yet
            _, status = os.waitpid(found, 0)
            self._end_strays()
            if number is not None:
                self._watcher.send((_ENDED, number, os.waitstatus_to_exitcode(status)))

    def _end_strays(self) -> None:
        for pid in _children():
            if pid not in self._numbers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _end_all(self) -> None:
        for pid in self._numbers:
            _signal_session(pid, signal.SIGKILL)
        self._numbers.clear()
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
                self._end_strays()


def _connection_on(stream: socket.socket) -> "Connection[Any, Any]":
    return Connection(os.dup(stream.fileno()))


def _explained(error: OSError) -> OSError:
    """Return the error of a fork, with what to do about it."""
    if error.errno != errno.EAGAIN:
        return error
    remedy = "raise the limit (ulimit -u, TasksMax= of the service)"
    return OSError(errno.EAGAIN, f"no process can be started ({os.strerror(errno.EAGAIN)}); {remedy}")


def _run_and_exit(action: Callable[[], object]) -> None:
    """Run a function in a forked process and exit, without the cleanup of the process it was forked from."""
    code = 1
    try:
        action()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - control must never return to the code that forked
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _exited() -> int | None:
    """Return the id of a child that has ended and is not reaped yet; None if there is none."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found is not None else None


def _signal_session(pid: int, what: signal.Signals) -> None:
    """Signal a process group, or the process alone if it has not created its group yet."""
    try:
        os.killpg(pid, what)
    except (ProcessLookupError, PermissionError):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, what)


def _children() -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []
