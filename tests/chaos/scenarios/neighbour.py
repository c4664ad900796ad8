"""What a CPU-bound neighbour loses while a daemon beside it renders."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.chaos.figures import Figure, Line, Scale, missing_tool
from tests.chaos.material import Material
from tests.chaos.trial import Trial
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
    """Count in one and in two processes, in turns alone and beside a daemon with one worker."""
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
                wait_until(lambda: len(trial.notes("start")) > begun, 30, "rendering has begun")  # noqa: B023
                beside.append(_count(neighbours, duration))
                rendered.append(len(trial.notes("start")) - begun)
                if neighbours == 2 and len(beside) == 1:
                    lines = list(_politeness(trial))
                daemon.end()
        loss = 100 * (1 - median(beside) / median(alone))
        detail = f"{sum(rendered)} renderings begun beside it"
        yield Figure(f"throughput lost by {neighbours} on two cores", loss, 10, "%", timed=True, detail=detail)
    yield from lines


def _count(neighbours: int, duration: float) -> int:
    """Let processes count, each in a session of its own like one from another terminal; return what they reach."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COUNT, str(duration)], stdout=subprocess.PIPE, start_new_session=True, text=True
        )
        for _ in range(neighbours)
    ]
    return sum(int(process.communicate()[0]) for process in processes)


def _politeness(trial: Trial) -> Iterator[Line]:
    """Look at the priorities of the job that is running."""
    pid = wait_until(lambda: _running_job(trial), 20, "a job is running")
    nice = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16])
    yield Figure("steps by which the nice value of a job is not 10", abs(nice - 10), 0)
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists() and (said := group.read_text().split()):
        # Where the kernel groups by session, the nice value of the group is what counts.
        yield Figure("steps by which the nice value of its session is not 10", abs(int(said[-1]) - 10), 0)
    if missing_tool("ionice") is None:
        io_class = subprocess.run(["ionice", "-p", str(pid)], capture_output=True, text=True, check=True).stdout.strip()
        yield Figure("I/O class of a job other than idle", int(not io_class.startswith("idle")), 0, detail=io_class)


def _running_job(trial: Trial) -> int | None:
    notes = trial.notes()
    return (
        notes[-1].pid if notes and notes[-1].event == "start" and Path(f"/proc/{notes[-1].pid}/stat").exists() else None
    )
