"""Measure what starting the command line costs (``make bench``), beside what starting Python costs.

    python -m tests.bench.start [bench-start.json [part ...]]

A row is the median of the CPU time in seconds; its detail is the ratio to `python -c pass` in the same run.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from tests.bench.measure import alternate
from tests.bench.table import Row, print_table

BAR = 0.3  # seconds of CPU time
_CALLS = (["--help"], ["-V"], ["status", "--help"], ["completion", "bash"], ["--nonsense"])


def start(_folder: Path) -> Iterator[Row]:
    """Measure what ends before anything is rendered."""
    for call in _CALLS:
        found = alternate(lambda call=call: seconds("-m", "attnwatch", *call), lambda: seconds("-c", "pass"))
        detail = f"{found.value:.0f} x `python -c pass` ({found.reference:.3f} s)"
        yield Row(f"attnwatch {' '.join(call)}", found.work, BAR, "s", detail)


def seconds(*arguments: str) -> float:
    """Return the CPU time that Python takes with these arguments, with bytecode caches as in any installation."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=False, env=environment, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    print_table((start,), "bench-start.json", f"cyclopts {version('cyclopts')}")
