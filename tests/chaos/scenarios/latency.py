"""Time from the rename of a completion marker to the start of its job, with an otherwise idle daemon."""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

from tests.chaos.figures import Figure, Line, Scale, none_of
from tests.chaos.material import Material, prepare
from tests.chaos.trial import PATIENCE, Trial
from tests.support import wait_until

IDLE = 0.05  # seconds between a receipt and the next marker
LONGEST_WAIT = 10.0  # seconds after which a video counts as missed, at full scale: nothing else runs beside it


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Mark one video after another as finished, each when the previous one is rendered."""
    times, patience = scale.pick((15, PATIENCE), (500, LONGEST_WAIT))
    trial, material = Trial(folder), Material(folder / "material")
    places = [
        material.place(trial.root / "batch" / "videos" / f"prompt_{index // 10:03d}", index % 10 + 1)
        for index in range(times)
    ]
    marks, missing = {}, []
    with trial.daemon("--workers", 1, "--set", "rescan_interval=600") as daemon:
        daemon.wait_for("watching")
        time.sleep(1.0)  # until it is idle: its fork server may still be starting
        for manifest in places:
            hidden = prepare(manifest)
            marks[str(manifest)] = time.monotonic()
            hidden.rename(manifest)
            missing += trial.wait_for_receipts([manifest], patience)
            time.sleep(IDLE)
        wait_until(lambda: len(trial.notes("end")) >= times - len(missing))
    delays = [1000 * (note.at - marks[note.manifest]) for note in trial.notes("start")]
    yield none_of("markers that started no job", missing)
    yield Figure("marker to job started, median", median(delays), 50, "ms", timed=True)
    yield Figure("marker to job started, p99", quantiles(delays, n=100, method="inclusive")[98], 200, "ms", timed=True)
