"""Runs the user's command after each rendered video, in a small pool of threads beside the main loop."""

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from attnwatch.contract.documents import ReceiptDocument
from attnwatch.system.group_guard import GroupGuard
from attnwatch.system.refusals import in_words

_log = logging.getLogger(__name__)

TIME_LIMIT = 60.0  # seconds per command
AT_A_TIME = 4
MOST_WAITING = 1000

_TAIL = 4096  # bytes of stderr that are kept
_CHUNK = 65536
_MOST_CHUNKS = 16  # of stderr per look: a command that floods it does not occupy the thread
_GLANCE = 0.02  # seconds between looks at a running command
_DEATH_TIME = 1.0  # seconds a killed process gets to end


@dataclass(frozen=True)
class _Call:
    command: str
    receipt: ReceiptDocument
    path: Path
    dropped: threading.Event = field(default_factory=threading.Event)


class Hooks:
    """Runs a command for each receipt, a few at a time; a context manager that leaves none behind.

    The command gets the receipt as JSON on its standard input, and ATTNWATCH_VIDEO_ID and ATTNWATCH_RECEIPT (the path
    of the receipt) in its environment. Its standard output is dropped; the end of its standard error is logged if it
    fails. If this process is killed, running commands are killed too.

    Threads and the guard start with the first command, because the fork server must be forked before any thread exists.

    Args:
        command: passed to `/bin/sh -c`; None to run nothing.

    """

    def __init__(self, command: str | None) -> None:
        self._command = command
        self._pool = ThreadPoolExecutor(AT_A_TIME, "on-rendered")
        self._guard: GroupGuard | None = None
        self._futures: set[Future[None]] = set()
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def pending(self) -> int:
        """Number of commands that run or wait."""
        return len(self._futures)

    def run(self, receipt: ReceiptDocument, path: Path) -> None:
        """Run the command for the receipt at this path as soon as a thread is free; returns at once."""
        if self._command is None:
            return
        if self.pending >= AT_A_TIME + MOST_WAITING:
            _log.error("--on-rendered: not run for %s: %d are waiting already", receipt.video_id, MOST_WAITING)
            return
        call = _Call(self._command, receipt, path)
        try:
            self._guard = self._guard or GroupGuard()
            future = self._pool.submit(self._execute, call, self._guard)
        except (OSError, RuntimeError) as error:  # no process or no thread can be started
            call.dropped.set()  # the pool may have queued it before it failed to start a thread
            _complain(receipt.video_id, f"cannot be run: {in_words(error) if isinstance(error, OSError) else error}")
            return
        self._futures.add(future)
        future.add_done_callback(self._finished)

    def close(self, patience: float = 0.0) -> None:
        """Wait `patience` seconds for the commands, then drop those that wait and kill those that run."""
        _, unfinished = wait_for(set(self._futures), patience)
        dropped = sum(future.cancel() for future in unfinished)
        if dropped:
            _log.warning("--on-rendered: waiting commands dropped because the watcher ends: %d", dropped)
        self._closing.set()
        self._pool.shutdown(cancel_futures=True)
        if self._guard is not None:
            self._guard.close()

    def _finished(self, future: Future[None]) -> None:
        self._futures.discard(future)
        if not future.cancelled() and (error := future.exception()) is not None:
            _log.error("--on-rendered: %s", error, exc_info=error)

    def _execute(self, call: _Call, guard: GroupGuard) -> None:
        """Run one command to its end, in a thread of the pool."""
        if call.dropped.is_set() or self._closing.is_set():
            return
        try:
            process = _start(call)
        except OSError as error:
            _complain(call.receipt.video_id, f"cannot be run: {in_words(error)}")
            return
        with process.stderr or contextlib.nullcontext(), guard.over(process.pid):
            killed, tail = self._watch(process)
        code = process.returncode
        if killed is not None:
            _complain(call.receipt.video_id, f"was killed: {killed}", tail)
        elif code:
            how = f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
            _complain(call.receipt.video_id, how, tail)

    def _watch(self, process: "subprocess.Popen[bytes]") -> tuple[str | None, bytes]:
        """Wait for the end of a command; return why it was killed (None if it was not) and the end of its stderr.

        `Popen.communicate` would keep all of stderr in memory, and wait for background processes that hold it open.
        """
        killed, tail, deadline = None, b"", time.monotonic() + TIME_LIMIT
        while process.poll() is None:
            tail = _read(process, tail)
            late = time.monotonic() >= deadline
            if killed is not None and late:
                break  # stuck in the kernel
            if killed is None and (late or self._closing.is_set()):
                killed = f"it took longer than {TIME_LIMIT:g} s" if late else "the watcher ends"
                deadline = time.monotonic() + _DEATH_TIME
                _kill(process)
            time.sleep(_GLANCE)
        return killed, _read(process, tail)


def _start(call: _Call) -> "subprocess.Popen[bytes]":
    variables = {"ATTNWATCH_VIDEO_ID": call.receipt.video_id, "ATTNWATCH_RECEIPT": str(call.path)}
    with _in_memory(call.receipt.model_dump_json(indent=2).encode() + b"\n") as receipt:
        process = subprocess.Popen(  # noqa: S603 - the command is the user's own
            ["/bin/sh", "-c", call.command],
            stdin=receipt,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **variables},
            start_new_session=True,
            bufsize=0,
        )
    if process.stderr is not None:
        os.set_blocking(process.stderr.fileno(), False)
    return process


def _read(process: "subprocess.Popen[bytes]", tail: bytes) -> bytes:
    """Take what a command has written to stderr, so that it never blocks on a full pipe; return the last of it."""
    for _ in range(_MOST_CHUNKS):
        part = process.stderr.read(_CHUNK) if process.stderr is not None else None
        if not part:
            break
        tail = (tail + part)[-_TAIL:]
    return tail


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process with everything it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _complain(video_id: str, what: str, stderr: bytes = b"") -> None:
    lines = stderr.decode(errors="backslashreplace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    _log.error("--on-rendered: %s: the command %s%s", video_id, what, f": {last}" if last else "")


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[int]:
    """Yield the descriptor of a file in memory; unlike a pipe, it takes everything at once, read or not."""
    descriptor = os.memfd_create("receipt")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
