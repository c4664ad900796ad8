"""No file events, and data that become visible long after their completion marker, as on a network mount."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.figures import Line, Scale, none_of, seconds
from tests.chaos.leavings import faults, receipts
from tests.chaos.material import Material
from tests.chaos.trial import PATIENCE, QUICK_PICTURES, Trial
from tests.support import wait_until

SCAN = 1.0  # seconds allowed for a scan and the start of a job


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Mark videos as finished at random instants; the data of every other one come late."""
    videos, period, latest, spread = scale.pick((8, 1.0, 2.0, 2.0), (60, 5.0, 30.0, 60.0))
    trial = Trial(folder)
    made = Material(folder / "material").add_many(folder / "elsewhere", videos, per_prompt=1)
    chance = random.Random(10)
    plan: list[tuple[float, Path, Path]] = []  # (when, source, target) of each rename
    visible: dict[Path, float] = {}  # when all files of a video are visible
    for index, manifest in enumerate(made):
        target = trial.root / manifest.relative_to(folder / "elsewhere")
        target.parent.mkdir(parents=True)
        marked = chance.uniform(0, spread)
        visible[target] = marked + (chance.uniform(0, latest) if index % 2 else 0.0)
        data = [manifest.with_name("video_001.mp4"), manifest.with_name("attention_maps")]
        plan += [(visible[target], part, target.parent / part.name) for part in data]
        plan.append((marked + 1e-6, manifest, target))
    with trial.daemon(
        "--set", "file_events=false", "--set", f"rescan_interval={period}", "--workers", 2, *QUICK_PICTURES
    ) as daemon:
        wait_until(lambda: "watching" in daemon.said or daemon.process.poll() is not None)
        begin = time.monotonic()
        for at, source, target in sorted(plan):
            time.sleep(max(0.0, begin + at - time.monotonic()))
            source.rename(target)
        missing = trial.wait_for_receipts(list(visible), period + latest + PATIENCE)
    late = [note.at - begin - visible[Path(note.manifest)] for note in trial.notes("start")]
    wrong = faults(trial.root, visible)
    charged = [path for path, receipt in receipts(trial.root).items() if len(receipt["attempts"]) != 1]
    yield none_of("videos not found", missing + wrong["lost"])
    yield none_of("videos charged more than one attempt", charged)
    yield none_of("videos rendered more than once", [path for path, count in trial.renderings().items() if count > 1])
    yield seconds("from all files visible to the rendering, at most", max(late, default=0.0), period + SCAN)
