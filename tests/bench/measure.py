"""How is measured: CPU seconds, alternating, medians; whole programs with all their processes; peak memory."""

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
    """Two medians, measured in turns: what is judged, and what it is compared with, in seconds."""

    work: float
    reference: float

    @property
    def value(self) -> float:
        return self.work / self.reference


def alternate(work: Callable[[], float], reference: Callable[[], float], runs: int = 5) -> Ratio:
    """Measure both in turns, after one of each that does not count."""
    work()
    reference()
    pairs = [(work(), reference()) for _ in range(runs)]
    return Ratio(median(pair[0] for pair in pairs), median(pair[1] for pair in pairs))


def cpu_seconds(action: Callable[[], object]) -> float:
    """Return the CPU time that an action takes in this process, all threads together."""
    start = time.process_time()
    action()
    return time.process_time() - start


def wall_seconds(action: Callable[[], object]) -> float:
    """Return the time that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def program_cpu_seconds(arguments: Sequence[str]) -> float:
    """Return the CPU time of a program and of every process that it started, orphans included."""
    # As after any installation: from its second start on a program is not compiled from its sources again.
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
    """Return the peak resident memory of a Python process that runs some code."""
    # VmHWM, not getrusage: the latter starts at what the process that forked it had.
    tail = "\nprint(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    run = subprocess.run([sys.executable, "-c", code + tail, *arguments], check=True, capture_output=True, text=True)
    return int(run.stdout.split()[-1]) / 1024
