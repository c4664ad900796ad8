"""SIGTERM while rendering: exit code 0 in time, no partial output, and the next start renders the rest."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.figures import Figure, Line, Scale, none_of, seconds
from tests.chaos.leavings import Tearing, faults
from tests.chaos.material import Material
from tests.chaos.processes import Process, wait_until_gone
from tests.chaos.trial import PATIENCE, QUICK_PICTURES, Trial
from tests.support import wait_until

SHORT = 4  # videos per round that could be finished in time
GONE = 2.0  # seconds that processes have to end after their daemon, at full scale: nothing else runs beside it
LONGER_THAN_ALLOWED = 30  # seconds that a rendering takes which cannot be finished in time


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Stop daemons while they render quick videos, and while they render one that takes too long."""
    rounds, patience = scale.pick((2, 30.0), (20, GONE))
    trial, material = Trial(folder), Material(folder / "material")
    manifests: list[Path] = []
    endless = material.add(trial.root / "at_first" / "prompt_001", prompt=f"sleep {LONGER_THAN_ALLOWED}")
    chance, tearing = random.Random(5), Tearing(trial.root)
    durations, codes, left = [], [], set[Process]()
    for turn in range(rounds):
        begun = len(trial.notes("start"))
        manifests += material.add_many(trial.root / f"batch_{turn}", SHORT, prompt="real 0.4")
        with trial.daemon("--workers", 2, *QUICK_PICTURES) as daemon:
            if turn == 0:
                wait_until(lambda: str(endless) in trial.renderings(), about="the longest rendering has begun")
            wait_until(lambda: len(trial.notes("start")) > begun, about="a rendering has begun")  # noqa: B023
            time.sleep(chance.uniform(0, 1.0))
            code, duration = daemon.end(signal.SIGTERM)
            codes.append(code)
            durations.append(duration)
            left |= wait_until_gone(daemon.family(), patience)
        tearing.look()
        if turn == 0:  # the following rounds only have videos that can be finished in time
            material.mark(endless, "tiny")
    with trial.daemon("--once", *QUICK_PICTURES) as daemon:
        daemon.process.wait(len(manifests) * 3 + PATIENCE)
    wrong = faults(trial.root, [*manifests, endless])
    yield Figure("exit codes other than 0", sum(code != 0 for code in codes), 0, detail=str(set(codes)))
    yield seconds("from SIGTERM to exit, at most", max(durations), 10)
    yield none_of(f"processes left {patience:g} s after their daemon", left)
    yield none_of("partial outputs under final names", tearing.torn | set(wrong["torn"]))
    yield none_of("videos that the next start did not render", wrong["lost"])
    yield none_of("unfinished files at the end", wrong["unfinished"] + wrong["stray"])
    yield none_of("receipts that are invalid or do not match the files", wrong["invalid"])
