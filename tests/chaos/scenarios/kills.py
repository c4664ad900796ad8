"""kill -9 at random instants: no video lost, no partial output, no process left, and a quick restart."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.figures import Figure, Line, Scale, none_of, seconds
from tests.chaos.leavings import Tearing, faults
from tests.chaos.material import Material, receipt_path
from tests.chaos.processes import Process, wait_until_gone
from tests.chaos.trial import PATIENCE, QUICK_PICTURES, Daemon, Trial
from tests.support import wait_until

PAUSE = 0.3  # seconds added to each rendering, so that it takes more than a few kills to finish all videos
LAST_KILL = 1.5  # seconds from the start of the daemon to the latest kill
GONE = 2.0  # seconds that processes have to end after their daemon, at full scale: nothing else runs beside it


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Start and kill the daemon again and again, then let the last one finish."""
    videos, cycles, patience = scale.pick((8, 4, 30.0), (200, 100, GONE))
    trial = Trial(folder)
    manifests = Material(folder / "material").add_many(trial.root / "batch", videos, prompt=f"real {PAUSE}")
    tearing, chance = Tearing(trial.root), random.Random(4)
    orphans: set[Process] = set()
    repeated, delays = [], []
    for cycle in range(cycles):
        before = _done(manifests)
        begun = len(trial.notes("start"))
        with trial.daemon("--workers", 1, *QUICK_PICTURES) as daemon:
            delays += _wait(trial, daemon, chance.uniform(0, LAST_KILL), begun, working=cycle % 2 == 1)
            family = daemon.family()
            daemon.send(signal.SIGKILL, group=cycle % 4 < 2)
            orphans |= wait_until_gone(family | daemon.family(), patience)
        tearing.look()
        # A rendering that was started and has no receipt was cut off; the next daemon starts it again.
        repeated.append(len(trial.notes("start")) - begun - (_done(manifests) - before))
        if _done(manifests) == videos:
            break
    with trial.daemon("--once", "--workers", 2, *QUICK_PICTURES) as daemon:
        code = daemon.process.wait(videos * 3 + PATIENCE)
    wrong = faults(trial.root, manifests)
    yield Figure("the last daemon's exit code", code, 0, detail=daemon.said[-200:] if code else "")
    yield Figure("cycles left out because all videos were done", cycles - 1 - cycle, 0, timed=True)
    yield none_of("videos lost", wrong["lost"])
    yield none_of("partial outputs under final names, at any time", tearing.torn | set(wrong["torn"]))
    yield none_of("receipts that are invalid or do not match the files", wrong["invalid"])
    yield none_of(
        "outputs that no receipt names, and unfinished files, at the end", wrong["stray"] + wrong["unfinished"]
    )
    yield none_of(f"processes left {patience:g} s after their daemon", orphans)
    yield Figure("repeated renderings per kill, at most", max(repeated), 1)
    yield seconds("from start to the first rendering, at most", max(delays, default=float("nan")), 2)


def _wait(trial: Trial, daemon: Daemon, delay: float, begun: int, *, working: bool) -> list[float]:
    """Wait until the kill is due; return the seconds until the daemon's first rendering, if it got that far."""
    if not working:
        time.sleep(delay)
    else:
        wait_until(lambda: len(trial.notes("start")) > begun or daemon.process.poll() is not None)
        time.sleep(delay * PAUSE)
    later = [note.at for note in trial.notes("start")[begun:]]
    return [later[0] - daemon.started] if later else []


def _done(manifests: list[Path]) -> int:
    return sum(receipt_path(manifest).exists() for manifest in manifests)
