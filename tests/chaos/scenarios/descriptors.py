"""Too few file descriptors, for the daemon, which needs some for every job, and for the jobs themselves."""

import resource
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.figures import Figure, Line, Scale, none_of, seconds
from tests.chaos.leavings import faults, receipts
from tests.chaos.material import Material
from tests.chaos.trial import PATIENCE, QUICK_PICTURES, Trial

FEW, ENOUGH = 64, 1024
SHORTAGE = 4.0  # seconds with too few


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Run many workers with few descriptors, and jobs that have used up their own."""
    crowd, hoarders = scale.pick((60, 3), (300, 30))
    trial, material = Trial(folder), Material(folder / "material")
    manifests = material.add_many(trial.root / "crowd", crowd, prompt="sleep 1")
    manifests += material.add_many(trial.root / "hoard", hoarders, prompt=f"hoard {FEW - 14}")
    settings = ("--workers", 60, "--set", "rescan_interval=2", "--set", "retry_backoff=1", *QUICK_PICTURES)
    few = ("sh", "-c", f'ulimit -Sn {FEW}; exec "$@"', "sh")
    with trial.daemon(*settings, prefix=few) as daemon:
        time.sleep(SHORTAGE)
        for process in daemon.family():
            _, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (ENOUGH, hard))
        recovery = time.monotonic()
        missing = trial.wait_for_receipts(manifests, PATIENCE + crowd / 10)
        done = max((note.at for note in trial.notes("end")), default=float("nan"))
        ended = daemon.process.poll() is not None
        said = len(daemon.log.read_bytes())
    charged = [path for path, receipt in receipts(trial.root).items() if len(receipt["attempts"]) != 1]
    wrong = faults(trial.root, manifests)
    yield Figure(f"{FEW} descriptors: the daemon ended", int(ended), 0, detail=daemon.said[-200:] if ended else "")
    yield none_of(f"{FEW} descriptors: partial outputs", wrong["torn"] + wrong["invalid"])
    yield none_of(f"{FEW} descriptors: videos charged an attempt", charged)
    yield none_of(f"{FEW} descriptors: not rendered after recovery", missing + wrong["lost"])
    yield seconds(f"{FEW} descriptors: from recovery until all is rendered", done - recovery, 60)
    yield Figure(f"{FEW} descriptors: stderr", said / 1e6, 1, "MB")
