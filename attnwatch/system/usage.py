"""Measures what a process and its descendants have done so far, and how long they had to wait for it; see proc(5)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PROC = Path("/proc")
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_STATE, _MAJOR_FAULTS, _TIMES, _IO_TICKS = 0, 9, slice(11, 15), 39  # positions behind the name in /proc/<pid>/stat
_WANTS_TO_RUN, _STOPPED = "R", frozenset("Tt")


@dataclass(frozen=True)
class Usage:
    """The work of a process and its living descendants since their start.

    Attributes:
        computed: processor time in seconds, with that of children that have ended.
        waited: seconds for which a thread was held up: it could have run but had no processor, or the kernel measured
            that it waited for a disk. The longest of all threads.
        moved: a number that grows with every byte read or written, and with every page read from a mapped file.
        held_up: a thread waits for a processor at this moment, or a process was stopped by a signal.

    """

    computed: float
    waited: float
    moved: int
    held_up: bool

    @classmethod
    def of_waiting(cls, seconds: float) -> Self:
        """Return the usage of a process that has had to wait for all of its time."""
        return cls(computed=0.0, waited=seconds, moved=0, held_up=True)


def usage_of(pid: int) -> Usage | None:
    """Return what a process and its living descendants have used; None if it has ended or cannot be observed."""
    computed, waited, moved, held_up = 0.0, 0.0, 0, False
    found = False
    for folder in _tree(pid, set()):
        try:
            status = _status(folder)
            threads = [(_status(thread), _delay(thread)) for thread in _threads(folder)]
        except (OSError, IndexError, ValueError):
            continue  # it has just ended
        found = True
        computed += sum(map(int, status[_TIMES])) * _TICK
        moved += _bytes_moved(folder) + int(status[_MAJOR_FAULTS])
        waits = [delay + int(thread[_IO_TICKS]) * _TICK for thread, delay in threads]
        waited = max([waited, *waits])
        states = {thread[_STATE] for thread, _ in threads}
        held_up = held_up or _WANTS_TO_RUN in states or bool(states & _STOPPED)
    return Usage(computed, waited, moved, held_up) if found else None


def _tree(pid: int, seen: set[int]) -> Iterator[Path]:
    """Yield the folder in /proc of a process and of each descendant; `seen` guards against reused process ids."""
    seen.add(pid)
    folder = _PROC / str(pid)
    yield folder
    for thread in _threads(folder):
        try:
            children = [int(child) for child in (thread / "children").read_text().split()]
        except (OSError, ValueError):
            continue
        for child in children:
            if child not in seen:
                yield from _tree(child, seen)


def _threads(folder: Path) -> list[Path]:
    try:
        return sorted((folder / "task").iterdir())
    except OSError:
        return []


def _status(folder: Path) -> list[str]:
    # The name of the process comes second and may contain anything, closing parentheses included.
    return (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()


def _delay(thread: Path) -> float:
    """Return the seconds for which a thread waited for a processor; 0 if this kernel does not measure it."""
    try:
        return int((thread / "schedstat").read_text().split()[1]) / 1e9
    except FileNotFoundError:
        return 0.0


def _bytes_moved(folder: Path) -> int:
    names = ("rchar:", "wchar:", "read_bytes:", "write_bytes:")
    try:
        lines = (folder / "io").read_text().splitlines()
    except OSError:  # not permitted
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(names))
