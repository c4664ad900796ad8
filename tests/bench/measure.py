"""Measures medians of alternating runs: CPU time, wall time, CPU time of whole programs; and peak memory."""

import ctypes
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Ratio:
    """Medians of alternating runs, in seconds: the work that is judged and the reference."""

    work: float
    reference: float

    @property
    def value(self) -> float:
        return self.work / self.reference


def alternate(work: Callable[[], float], reference: Callable[[], float], runs: int = 5) -> Ratio:
    """Measure both alternately, after one warm-up run of each."""
    work()
    reference()
    pairs = [(work(), reference()) for _ in range(runs)]
    return Ratio(median(pair[0] for pair in pairs), median(pair[1] for pair in pairs))


def cpu_seconds(action: Callable[[], object]) -> float:
    """Return the CPU time of an action in this process, over all threads."""
    start = time.process_time()
    action()
    return time.process_time() - start


def wall_seconds(action: Callable[[], object]) -> float:
    """Return the elapsed time of an action."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def program_cpu_seconds(arguments: Sequence[str]) -> float:
    """Return the CPU time of a Python module run as a program, and of all its descendants, orphans included."""
    # Allow bytecode caches, as in any installation, so that sources are not compiled at every start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", *arguments], check=True, env=environment, stderr=subprocess.DEVNULL)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def peak_megabytes(code: str, *arguments: str) -> float:
    """Return the peak resident memory, in MiB, of a Python process that runs `code`."""
    # VmHWM, not getrusage: the latter starts at the value of the parent that forked the process.
    tail = "\nprint(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    run = subprocess.run([sys.executable, "-c", code + tail, *arguments], check=True, capture_output=True, text=True)
    return int(run.stdout.split()[-1]) / 1024
