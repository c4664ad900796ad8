"""Processes as /proc lists them: which daemon they belong to, what they use, and whether they have ended."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MARK = "CHAOS_MARK"  # environment variable that every descendant of a daemon inherits, even in another session

_TICKS = os.sysconf("SC_CLK_TCK")
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


@dataclass(frozen=True)
class Process:
    """One process, identified by pid and start time, so that a reused pid does not match."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """Return the process with this pid, or None if there is none or it is a zombie."""
        fields = _stat(pid)
        return cls(pid, int(fields[19])) if fields and fields[0] not in "ZX" else None

    @property
    def is_running(self) -> bool:
        """Whether it is still running."""
        return Process.of(self.pid) == self

    def kill(self) -> None:
        """Kill it if it is still running."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the process and of the children that it has waited for."""
        fields = _stat(self.pid)
        return sum(int(field) for field in fields[11:15]) / _TICKS if fields else 0.0

    @property
    def proportional_bytes(self) -> int:
        """Proportional set size: its memory, with each shared page divided by the number of processes that share it."""
        return _kilobytes(self.pid, "smaps_rollup", "Pss:") * 1024

    @property
    def peak_bytes(self) -> int:
        """Peak resident memory."""
        return _kilobytes(self.pid, "status", "VmHWM:") * 1024


def marked(mark: str) -> set[Process]:
    """Return the processes that were started with this mark, and all their descendants."""
    return having(**{MARK: mark})


def having(**variables: str) -> set[Process]:
    """Return the processes that were started with some variables in their environment, and so all their descendants."""
    wanted = {f"{name}={value}".encode() for name, value in variables.items()}
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(*_GONE):
            if wanted.issubset(path.read_bytes().split(b"\0")):
                process = Process.of(int(path.parent.name))
                if process is not None:
                    found.add(process)
    return found


def wait_until_gone(processes: Iterable[Process], limit: float) -> set[Process]:
    """Wait for processes to end; return those still running after `limit` seconds."""
    end = time.monotonic() + limit
    left = set(processes)
    while True:
        left = {process for process in left if process.is_running}
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.02)


def kill_all(mark: str) -> None:
    """Kill every process with a mark, including those started in the meantime."""
    kill_having(**{MARK: mark})


def kill_having(**variables: str) -> None:
    """Kill every process with some variables in its environment, including those started in the meantime."""
    while found := having(**variables):
        for process in found:
            process.kill()
        wait_until_gone(found, 5)


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except _GONE:
        return []


def _kilobytes(pid: int, file: str, key: str) -> int:
    with contextlib.suppress(*_GONE):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1])
    return 0
