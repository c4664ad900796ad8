"""Processes as the kernel lists them: whose they are, what they use, whether they are gone."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MARK = "CHAOS_MARK"  # a variable that every process inherits from the daemon, also one that has left its session

_TICKS = os.sysconf("SC_CLK_TCK")
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


@dataclass(frozen=True)
class Process:
    """One process; a number that was given to another one meanwhile does not match."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """Return the process of this number, None if there is none or only a zombie."""
        fields = _stat(pid)
        return cls(pid, int(fields[19])) if fields and fields[0] not in "ZX" else None

    @property
    def is_running(self) -> bool:
        """Whether it is still there."""
        return Process.of(self.pid) == self

    def kill(self) -> None:
        """End it at once."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    @property
    def cpu_seconds(self) -> float:
        """CPU time of it and of the children that it has waited for."""
        fields = _stat(self.pid)
        return sum(int(field) for field in fields[11:15]) / _TICKS if fields else 0.0

    @property
    def proportional_bytes(self) -> int:
        """Memory that it holds, shared pages divided by those who share them."""
        return _kilobytes(self.pid, "smaps_rollup", "Pss:") * 1024

    @property
    def peak_bytes(self) -> int:
        """The most memory that it has held."""
        return _kilobytes(self.pid, "status", "VmHWM:") * 1024


def marked(mark: str) -> set[Process]:
    """Return the processes that were started with this mark, and all that they started."""
    wanted = f"{MARK}={mark}".encode()
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(*_GONE):
            if wanted in path.read_bytes().split(b"\0"):
                process = Process.of(int(path.parent.name))
                if process is not None:
                    found.add(process)
    return found


def wait_until_gone(processes: Iterable[Process], limit: float) -> set[Process]:
    """Wait for processes to end; return those that are there after so many seconds."""
    end = time.monotonic() + limit
    left = set(processes)
    while True:
        left = {process for process in left if process.is_running}
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.02)


def kill_all(mark: str) -> None:
    """End everything that carries a mark, also what it starts meanwhile."""
    while found := marked(mark):
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
