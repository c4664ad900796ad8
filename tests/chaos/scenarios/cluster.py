"""A Dask cluster whose workers, scheduler and watcher are killed: every video is rendered, none is charged or torn."""

import importlib.util
import itertools
import random
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.figures import Figure, Line, Scale, Skipped, none_of
from tests.chaos.leavings import Tearing, faults, receipts
from tests.chaos.material import Material, receipt_path
from tests.chaos.trial import QUICK_PICTURES, Trial
from tests.clusters import Cluster, kill, running_cluster

PAUSE = 0.3  # seconds added to each rendering, so that kills meet some under way
BETWEEN_KILLS = 3.0  # seconds, on average
DYING = 3.0  # seconds that a job may go on after its worker was killed
PER_VIDEO = 6.0  # seconds, on a busy machine


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Kill random workers all the time, the scheduler once and the watcher once."""
    if importlib.util.find_spec("distributed") is None:
        yield Skipped("a Dask cluster", "needs the extra attnwatch[dask]")
        return
    videos, workers = scale.pick((10, 2), (500, 4))
    trial = Trial(folder)
    manifests = Material(folder / "material").add_many(trial.root / "batch", videos, prompt=f"real {PAUSE}")
    log = str(folder / "jobs.jsonl")
    with running_cluster(folder / "cluster", workers, stubbed=True, CHAOS_LOG=log) as cluster:
        storm = _Storm(trial, cluster, manifests, workers)
        code = storm.rage(videos * PER_VIDEO + 120)
    wrong, found = faults(trial.root, manifests), receipts(trial.root)
    yield Figure(
        "workers, schedulers and watchers killed too rarely",
        max(0, scale.pick(2, 20) - len(storm.kills)),
        0,
        detail=f"{len(storm.kills)} kills",
    )
    yield none_of("videos lost", wrong["lost"])
    yield none_of("partial outputs under final names, at any time", storm.tearing.torn | set(wrong["torn"]))
    yield none_of("receipts that are invalid or do not match the files", wrong["invalid"])
    yield none_of("videos charged with more than one attempt", _charged(found))
    yield none_of("videos rendered again although nothing was killed", storm.repeated())
    yield none_of("outputs that no receipt names, and unfinished files", wrong["stray"] + wrong["unfinished"])
    yield Figure("the last watcher's exit code", float("nan") if code is None else code, 0)


def _charged(found: "dict[Path, dict[str, list[object]]]") -> list[Path]:
    return [manifest for manifest, receipt in found.items() if len(receipt["attempts"]) != 1]


@dataclass
class _Storm:
    trial: Trial
    cluster: Cluster
    manifests: list[Path]
    workers: int
    kills: list[float] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(20))

    def __post_init__(self) -> None:
        self.tearing = Tearing(self.trial.root)

    def rage(self, seconds: float) -> int | None:
        """Kill until all videos are rendered; return the exit code of the last watcher."""
        limit, options = time.monotonic() + seconds, ("--engine", self.cluster.address, *QUICK_PICTURES)
        with self.trial.daemon(*options) as daemon:
            self._until(1 / 3, limit)
            self._kill_scheduler()
            self._until(2 / 3, limit)
            self.kills.append(time.monotonic())
            daemon.send(signal.SIGKILL)
        with self.trial.daemon(*options) as daemon:
            self._until(1, limit)
            return daemon.end(limit=60)[0]

    def _until(self, share: float, limit: float) -> None:
        """Kill workers at random until a share of the videos is rendered."""
        chance, tearing = self.chance, self.tearing
        next_kill = time.monotonic() + chance.expovariate(1 / BETWEEN_KILLS)
        while self._done() < share * len(self.manifests) and time.monotonic() < limit:
            tearing.look()
            self._keep_workers()
            if time.monotonic() >= next_kill:
                victim = chance.choice(self.cluster.workers)
                self.kills.append(time.monotonic())
                self.cluster.kill_node(victim) if chance.random() < 1 / 2 else kill(victim)
                next_kill = time.monotonic() + chance.expovariate(1 / BETWEEN_KILLS)
            time.sleep(0.1)

    def _keep_workers(self) -> None:
        """Start workers in the place of those that have ended, as a service manager does."""
        self.cluster.workers[:] = [worker for worker in self.cluster.workers if worker.poll() is None]
        while len(self.cluster.workers) < self.workers:
            self.cluster.start_worker()

    def _kill_scheduler(self) -> None:
        self.kills.append(time.monotonic())
        kill(self.cluster.scheduler)
        time.sleep(1)
        self.cluster.start_scheduler()

    def _done(self) -> int:
        return sum(receipt_path(manifest).exists() for manifest in self.manifests)

    def repeated(self) -> list[str]:
        """Return videos whose rendering was started although an earlier one had ended, and nothing was killed then."""
        starts, ends = defaultdict(list), {(note.manifest, note.pid): note.at for note in self.trial.notes("end")}
        for note in self.trial.notes("start"):
            starts[note.manifest].append(note)
        found = []
        for manifest, notes in starts.items():
            for earlier, later in itertools.pairwise(notes):
                ended = ends.get((manifest, earlier.pid), later.at)
                if not any(earlier.at - DYING <= at <= ended + DYING for at in self.kills):
                    found.append(manifest)
        return found
