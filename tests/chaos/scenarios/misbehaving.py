"""Jobs that hang, crash or exhaust memory: ended in time with all descendants, given up after all attempts."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.chaos.figures import Figure, Line, Scale, none_of, seconds
from tests.chaos.leavings import faults, receipts
from tests.chaos.material import Material
from tests.chaos.processes import Process
from tests.chaos.trial import PATIENCE, Note, Trial

TIMEOUT = 2.0
LONGEST = TIMEOUT + 6
ATTEMPTS = 3
SETTINGS = (
    *("--set", f"visualization_timeout={TIMEOUT}"),
    *("--set", f"max_attempts={ATTEMPTS}"),
    *("--set", "retry_backoff=0.1"),
    *("--set", "memory_limit=1GiB"),
    *("--set", "rescan_interval=5"),
)
KINDS = ("hang", "crash", "allocate")


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Mix equally many jobs of each kind with well-behaved ones."""
    each, workers = scale.pick((1, 3), (30, 6))
    trial, material = Trial(folder), Material(folder / "material")
    bad = {kind: material.add_many(trial.root / kind, each, prompt=kind) for kind in KINDS}
    good = material.add_many(trial.root / "good", each)
    everyone = [manifest for manifests in bad.values() for manifest in manifests]
    ages = _Ages(trial)
    with trial.daemon("--workers", workers, *SETTINGS) as daemon:
        limit = time.monotonic() + PATIENCE + 4 * each * ATTEMPTS * LONGEST / workers
        while time.monotonic() < limit and daemon.process.poll() is None:
            ages.look()
            if not ages.running and not _not_given_up(trial, everyone):
                break
            time.sleep(0.05)
        time.sleep(0.5)
        pids = {note.pid for note in trial.notes()}
        left = {process for process in daemon.family() if process.pid in pids}
        ended = daemon.process.poll() is not None
    begun = trial.renderings()
    # On a machine that is busy with other things, a job may be started again without a charge.
    starved = daemon.said.count("slow machine: ")
    for kind, manifests in bad.items():
        yield none_of(f"{kind}: not given up after exactly {ATTEMPTS} attempts", _not_given_up(trial, manifests))
        often = [path for path in manifests if not ATTEMPTS <= begun[str(path)] <= ATTEMPTS + starved]
        yield none_of(f"{kind}: started more or less often", often)
    yield seconds("until a job and all its processes have ended, at most", max(ages.found()), LONGEST)
    yield none_of("processes left by jobs", left)
    yield none_of("jobs that met no memory limit", list(trial.notes("unlimited")))
    yield Figure("the daemon ended", int(ended), 0)
    neighbours = faults(trial.root / "good", good)
    yield none_of("neighbours not rendered, or incomplete", neighbours["lost"] + neighbours["torn"])


class _Ages:
    """Measures the age of the processes that jobs logged, from the start of the job to their end."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._read = 0
        self._begun: dict[str, float] = {}
        self.running: list[tuple[Process, float]] = []
        self._ages: list[float] = []

    def look(self) -> None:
        """Read new lines of the log, and record the age of the processes that have ended."""
        notes = self._trial.notes()
        for note in notes[self._read :]:
            self._take(note)
        self._read = len(notes)
        now = time.monotonic()
        self._ages += [now - since for process, since in self.running if not process.is_running]
        self.running = [entry for entry in self.running if entry[0].is_running]

    def found(self) -> Sequence[float]:
        """Return the age of each process in seconds; of a running one, its present age."""
        now = time.monotonic()
        return [*self._ages, *(now - since for _, since in self.running), 0.0]

    def _take(self, note: Note) -> None:
        if note.event == "start":
            self._begun[note.manifest] = note.at
        process = Process.of(note.pid)
        if process is not None:
            self.running.append((process, self._begun[note.manifest]))


def _not_given_up(trial: Trial, manifests: list[Path]) -> list[object]:
    known = receipts(trial.root)
    return [path for path in manifests if not _is_given_up(known.get(path))]


def _is_given_up(receipt: dict[str, object] | None) -> bool:
    if receipt is None:
        return False
    attempts = receipt["attempts"]
    return receipt["next_attempt"] is None and isinstance(attempts, list) and len(attempts) == ATTEMPTS
