"""Two and four daemons on one tree: every video is rendered once, even while one of them is stopped."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.figures import Figure, Line, Scale, none_of
from tests.chaos.leavings import faults
from tests.chaos.material import Material
from tests.chaos.trial import PATIENCE, Daemon, Trial

LONGEST_STOP = 1.5  # seconds


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Run several daemons on the same videos."""
    for number in scale.pick((3,), (2, 4)):
        yield from _together(folder / str(number), number, scale.pick(40, 2000))


def _together(folder: Path, number: int, videos: int) -> Iterator[Line]:
    trial = Trial(folder)
    material = Material(folder / "material")
    present, later = videos * 3 // 4, videos - videos * 3 // 4
    manifests = material.add_many(trial.root / "batch", present)
    chance = random.Random(number)
    with contextlib.ExitStack() as stack:
        daemons = [stack.enter_context(trial.daemon("--workers", 1, "--quiet")) for _ in range(number)]
        places = [material.place(trial.root / "late" / f"prompt_{index:04d}") for index in range(later)]
        limit = time.monotonic() + PATIENCE + videos * 0.2
        while (missing := _missing(trial, present + later)) and time.monotonic() < limit:
            if places:
                step = max(1, later // 20)
                manifests += [material.mark(place) for place in places[:step]]
                del places[:step]
            _stop_for_a_while(chance.choice(daemons), chance)
        manifests += [material.mark(place) for place in places]
        lost = trial.wait_for_receipts(manifests, PATIENCE)
        ends = [daemon.end() for daemon in daemons]
    begun = trial.renderings()
    wrong = faults(trial.root, manifests)
    yield none_of(f"{number} daemons, {videos} videos: not rendered", lost + wrong["lost"])
    yield none_of(f"{number} daemons: rendered more than once", [path for path, count in begun.items() if count > 1])
    yield none_of(f"{number} daemons: corrupt outputs and receipts", wrong["torn"] + wrong["invalid"] + wrong["stray"])
    yield none_of(f"{number} daemons: unfinished files at the end", wrong["unfinished"])
    yield Figure(f"{number} daemons: exit codes other than 0", sum(code != 0 for code, _ in ends), 0)
    yield Figure(f"{number} daemons: renderings missing when they were stopped", missing, 0)


def _missing(trial: Trial, videos: int) -> int:
    return videos - len(trial.notes("end"))


def _stop_for_a_while(daemon: Daemon, chance: random.Random) -> None:
    """Stop a daemon, alone or with its jobs, and continue it after a random pause."""
    chosen = [daemon.pid] if chance.random() < 0.5 else [process.pid for process in daemon.family()]
    _send(chosen, signal.SIGSTOP)
    time.sleep(chance.uniform(0, LONGEST_STOP))
    _send(chosen, signal.SIGCONT)
    time.sleep(0.1)


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
