"""Running a command of the user's after each rendered video, beside the loop and never in its way."""

import contextlib
import logging
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from attnwatch.contract.documents import ReceiptDocument
from attnwatch.system.kernel import end_with_parent

_log = logging.getLogger(__name__)

TIME_LIMIT = 60.0  # seconds that a command may take
AT_A_TIME = 4
MOST_WAITING = 1000

_TAIL = 4096  # bytes of stderr that are kept
_CHUNK = 65536
_POLL = 0.02  # seconds between looks while `close` waits
_DEATH_TIME = 1.0  # seconds that `close` waits for the end of what it has ended
_MOST_CHUNKS = 16  # of stderr per look: a command that complains without end does not hold the loop up


@dataclass(frozen=True)
class _Call:
    receipt: ReceiptDocument
    path: Path


class Hooks:
    """Runs a command for each receipt, a few at a time; a context manager that leaves none behind.

    The command gets the receipt as JSON on its standard input, ATTNWATCH_VIDEO_ID and ATTNWATCH_RECEIPT (the receipt's
    path) in its environment. What it prints on its standard output is dropped.

    Args:
        command: for `/bin/sh -c`; None for nothing.

    """

    def __init__(self, command: str | None) -> None:
        self._command = command
        self._queue: deque[_Call] = deque()
        self._running: list[_Running] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def pending(self) -> int:
        """Number of commands that run or wait for their turn."""
        return len(self._running) + len(self._queue)

    def run(self, receipt: ReceiptDocument, path: Path) -> None:
        """Run the command for a receipt that lies at this path, as soon as there is room."""
        if self._command is None:
            return
        if len(self._queue) >= MOST_WAITING:
            _log.error("--on-rendered: not run for %s: %d are waiting already", receipt.video_id, MOST_WAITING)
            return
        self._queue.append(_Call(receipt, path))
        self.poll()

    def poll(self) -> None:
        """Take note of what has ended, end what takes too long, start what waits. Returns at once."""
        for running in self._running:
            running.look()
        self._running = [running for running in self._running if not running.ended]
        while self._queue and self._command is not None and len(self._running) < AT_A_TIME:
            self._start(self._command, self._queue.popleft())

    def close(self, patience: float = 0.0) -> None:
        """Give the commands so many seconds to end, then end them; those that wait are not run any more."""
        limit = time.monotonic() + patience
        while self.pending and time.monotonic() < limit:
            self.poll()
            time.sleep(_POLL)
        if self._queue:
            _log.warning("--on-rendered: not run for the last %d: the watcher ends", len(self._queue))
            self._queue.clear()
        for running in self._running:
            running.kill("the watcher ends")
        limit = time.monotonic() + _DEATH_TIME
        while self._running and time.monotonic() < limit:
            self.poll()
            time.sleep(_POLL)

    def _start(self, command: str, call: _Call) -> None:
        try:
            self._running.append(_Running(command, call))
        except OSError as error:
            _log.error("--on-rendered: cannot be run for %s: %s", call.receipt.video_id, error)


class _Running:
    """One command under way."""

    def __init__(self, command: str, call: _Call) -> None:
        self._video_id = call.receipt.video_id
        self._deadline = time.monotonic() + TIME_LIMIT
        self._tail = b""
        self._killed: str | None = None
        self.ended = False
        variables = {"ATTNWATCH_VIDEO_ID": self._video_id, "ATTNWATCH_RECEIPT": str(call.path)}
        with _file_of(call.receipt.model_dump_json(indent=2).encode() + b"\n") as receipt:
            self._process = subprocess.Popen(  # noqa: S603 - the command is the user's own
                ["/bin/sh", "-c", command],
                stdin=receipt,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, **variables},
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - one call into libc, which was looked up before
                bufsize=0,
            )
        if self._process.stderr is not None:
            os.set_blocking(self._process.stderr.fileno(), False)

    def look(self) -> None:
        """Read what it complains about; note its end, or end it when its time is over."""
        code = self._process.poll()
        self._read()
        if code is None:
            if time.monotonic() >= self._deadline and self._killed is None:
                self.kill(f"it took longer than {TIME_LIMIT:g} s")
            return
        self._close()
        if self._killed is not None:
            self._complain(f"was ended, because {self._killed}")
        elif code != 0:
            self._complain(f"was ended by signal {-code}" if code < 0 else f"exited with code {code}")

    def kill(self, reason: str) -> None:
        """End it with everything that it has started; `look` notes when it is gone."""
        self._killed = reason
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _read(self) -> None:
        """Keep the last of what is there to read; a pipe that nobody reads would stop the command."""
        for _ in range(_MOST_CHUNKS):
            part = self._process.stderr.read(_CHUNK) if self._process.stderr is not None else None
            if not part:
                return
            self._tail = (self._tail + part)[-_TAIL:]

    def _close(self) -> None:
        self.ended = True
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _complain(self, how: str) -> None:
        lines = self._tail.decode(errors="backslashreplace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        _log.error("--on-rendered: %s: the command %s%s", self._video_id, how, f": {last}" if last else "")


@contextlib.contextmanager
def _file_of(data: bytes) -> Iterator[int]:
    """Yield the descriptor of a file in memory: unlike a pipe, it takes everything at once, read or not."""
    descriptor = os.memfd_create("receipt")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
