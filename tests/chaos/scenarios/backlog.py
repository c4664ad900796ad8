"""A backlog of 10,000 videos and 100,000 finished ones: time to the first job, scan time, memory, idle CPU."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.figures import Figure, Line, Scale, none_of, seconds
from tests.chaos.material import Material, multiply
from tests.chaos.processes import Process
from tests.chaos.trial import PATIENCE, Daemon, Trial, stated
from tests.support import wait_until

PER_PROMPT = 10
SETTLED = 2.0  # seconds after which a scan is over and published


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Time the first job of a backlog, then measure a daemon that has nothing to do."""
    yield from _backlog(folder / "backlog", scale.pick(100, 10_000))
    yield from _scan(folder / "scan", scale.pick(100, 10_000))
    yield from _idle(folder / "idle", scale.pick(300, 100_000), scale.pick(1.0, 120.0))


def _backlog(folder: Path, videos: int) -> Iterator[Line]:
    trial = Trial(folder)
    Material(folder / "material").add_many(trial.root / "batch", videos)
    with trial.daemon("--workers", 1, "--quiet") as daemon:
        wait_until(lambda: trial.notes("start") or daemon.process.poll() is not None, PATIENCE)
        first = [note.at - daemon.started for note in trial.notes("start")] or [float("nan")]
    yield seconds(f"backlog of {videos:,}: from start to the first job", first[0], 2)


def _scan(folder: Path, size: int) -> Iterator[Line]:
    """Time the second scan by the daemon's own figure and by the CPU time it used; the larger of the two counts."""
    with _finished(folder, size, "--set", "rescan_interval=1") as (trial, daemon):
        before = _cpu(daemon.family())
        # The first scan reads everything and takes longer, which delays the second accordingly.
        wait_until(lambda: stated(trial.activities(), "scans") >= 2, 300, "a second scan")
        worked = _cpu(daemon.family()) - before
        said = stated(trial.activities(), "last_scan_seconds")
    yield seconds(f"warm scan of {size:,}", max(said, worked), 0.5, f"reported {said:.3f} s, CPU {worked:.2f} s")
    yield from _left_alone(trial, daemon, size)


def _idle(folder: Path, size: int, duration: float) -> Iterator[Line]:
    """Measure the memory and CPU time of a daemon that has nothing to do."""
    with _finished(folder, size) as (trial, daemon):
        time.sleep(SETTLED)
        family = daemon.family()
        before = _cpu(family)
        time.sleep(duration)
        used = _cpu(family) - before
        held = sum(process.proportional_bytes for process in daemon.family()) / 1e6
        where = daemon.said.splitlines()[-1]
    yield Figure(f"memory of the daemon and its server at {size:,}", held, 200, "MB", timed=True)
    yield Figure(
        f"CPU when idle at {size:,}, over {duration:g} s", 100 * used / duration, 2, "%", timed=True, detail=where
    )
    yield from _left_alone(trial, daemon, size)


@contextlib.contextmanager
def _finished(folder: Path, size: int, *settings: str) -> Iterator[tuple[Trial, Daemon]]:
    """Make a tree of rendered videos, and run a daemon that has seen all of them."""
    trial = Trial(folder)
    finish_many(trial, size)
    with trial.daemon("--workers", 1, *settings, stubbed=False) as daemon:
        daemon.wait_for("watching", 300)
        yield trial, daemon


def finish_many(trial: Trial, size: int) -> None:
    """Make a tree of rendered videos."""
    first = trial.root / "batch" / "videos" / "prompt"
    for number in range(1, PER_PROMPT + 1):  # each from its own file: the number of links to a file is limited
        Material(trial.folder / f"material_{number}").add(first, number, video_id=f"clip_{number:03d}")
    copies = list(multiply(first, size // PER_PROMPT - 1))
    done = trial.command("render", first)
    assert done.returncode == 0, done.stderr
    # Linked only now, because linking changes the times of an inode, which the receipts record.
    for copy in copies:
        (copy / "attention_videos").mkdir()
        for path in (first / "attention_videos").iterdir():
            os.link(path, copy / "attention_videos" / path.name)


def _left_alone(trial: Trial, daemon: Daemon, size: int) -> Iterator[Line]:
    first = trial.root / "batch" / "videos" / "prompt"
    greeting = f"{size} up to date"
    yield Figure(
        "trees that were not recognised as up to date", int(greeting not in daemon.said), 0, detail=daemon.said[:200]
    )
    yield none_of(f"receipts rewritten among {size:,}", _rewritten(first))


def _cpu(family: set[Process]) -> float:
    return sum(process.cpu_seconds for process in family)


def _rewritten(first: Path) -> list[object]:
    """Return the receipts that are no longer links to the first one."""
    mine = {path.stat().st_ino for path in first.glob("attention_videos/*.rendered.json")}
    return [path for path in first.parent.glob("*/attention_videos/*.rendered.json") if path.stat().st_ino not in mine]
