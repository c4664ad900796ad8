"""Throughput that a CPU-bound neighbour loses while a daemon renders beside it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.chaos.figures import Figure, Line, Scale, missing_tool
from tests.chaos.material import Material
from tests.chaos.trial import PATIENCE, Trial
from tests.support import wait_until

COUNT = """
import sys, time
end = time.monotonic() + float(sys.argv[1])
count = 0
while time.monotonic() < end:
    for _ in range(1000):
        count += 1
print(count)
"""


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Count in one and in two processes, alternately alone and beside a daemon with one worker."""
    turns, duration = scale.pick((1, 0.5), (4, 8.0))
    trial = Trial(folder)
    material = Material(folder / "material", width=832, height=480, frames=scale.pick(9, 81))
    material.add_many(trial.root / "batch", scale.pick(20, 400), prompt="real")
    for neighbours in (2, 1):
        alone, beside, rendered = [], [], []
        for _ in range(turns):
            alone.append(_count(neighbours, duration))
            begun = len(trial.notes("start"))
            with trial.daemon("--workers", 1) as daemon:
                wait_until(lambda: len(trial.notes("start")) > begun, PATIENCE, "rendering has begun")  # noqa: B023
                beside.append(_count(neighbours, duration))
                rendered.append(len(trial.notes("start")) - begun)
                if neighbours == 2 and len(beside) == 1:
                    lines = list(_politeness(trial))
                daemon.end()
        loss = 100 * (1 - median(beside) / median(alone))
        detail = f"{sum(rendered)} renderings started beside it"
        yield Figure(f"throughput lost by {neighbours} on two cores", loss, 10, "%", timed=True, detail=detail)
    yield from lines


def _count(neighbours: int, duration: float) -> int:
    """Let processes count, each in its own session as if from another terminal; return the sum of their counts."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COUNT, str(duration)], stdout=subprocess.PIPE, start_new_session=True, text=True
        )
        for _ in range(neighbours)
    ]
    return sum(int(process.communicate()[0]) for process in processes)


def _politeness(trial: Trial) -> Iterator[Line]:
    """Check the priorities of the job that is running."""
    pid = wait_until(lambda: _running_job(trial), about="a job is running")
    expected = min(19, os.nice(0) + 10)  # these tests may be nice themselves
    nice = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16])
    yield Figure("difference of the nice value of a job from what it should be", abs(nice - expected), 0)
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists() and (said := group.read_text().split()):
        # If the kernel groups processes by session, the nice value of the group counts.
        yield Figure("difference of the nice value of its session from 10", abs(int(said[-1]) - 10), 0)
    if missing_tool("ionice") is None:
        io_class = subprocess.run(["ionice", "-p", str(pid)], capture_output=True, text=True, check=True).stdout.strip()
        yield Figure("I/O class of a job other than idle", int(not io_class.startswith("idle")), 0, detail=io_class)


def _running_job(trial: Trial) -> int | None:
    notes = trial.notes()
    return (
        notes[-1].pid if notes and notes[-1].event == "start" and Path(f"/proc/{notes[-1].pid}/stat").exists() else None
    )
