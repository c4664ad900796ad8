"""Hostile and broken input: the receipt has a clear error, and other videos are unaffected."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from tests.chaos.cases import Case, make_cases
from tests.chaos.figures import Figure, Line, Scale, none_of
from tests.chaos.leavings import faults, receipts
from tests.chaos.material import Material
from tests.chaos.trial import PATIENCE, QUICK_PICTURES, Daemon, Trial

MEMORY = 1024  # MiB that a job may use
SETTINGS = (
    *("--set", f"memory_limit={MEMORY}MiB"),
    *("--set", "max_attempts=2"),
    *("--set", "retry_backoff=0.2"),
    *("--set", "rescan_interval=5"),
    *QUICK_PICTURES,
)


class _Opened(FileSystemEventHandler):
    """Records every file of a folder that any process opens."""

    def __init__(self) -> None:
        self.paths: set[object] = set()

    def on_opened(self, event: FileSystemEvent) -> None:
        if not event.is_directory:
            self.paths.add(event.src_path)


class _Peak:
    """Samples the peak memory of a daemon's descendants many times a second."""

    def __init__(self, daemon: Daemon) -> None:
        self.bytes = 0
        self._daemon = daemon
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.01):
            others = [process for process in self._daemon.family() if process.pid != self._daemon.pid]
            self.bytes = max(self.bytes, *(process.peak_bytes for process in others), 0)


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Give a daemon all cases at once, with good videos among them."""
    trial, material = Trial(folder), Material(folder / "material")
    outside = folder / "outside"
    truncated, flipped, bomb = scale.pick((5, 3, 50 * 2**20), (200, 100, 800 * 2**20))
    cases, skipped = make_cases(trial.root / "bad", outside, truncated=truncated, flipped=flipped, bomb=bomb)
    yield from skipped
    good = material.add_many(trial.root / "good", scale.pick(3, 50))
    opened, observer = _Opened(), Observer()
    observer.schedule(opened, str(outside), recursive=True)
    observer.start()
    with trial.daemon("--workers", 2, *SETTINGS, CHAOS_STUB="real") as daemon, _Peak(daemon) as peak:
        for case in cases:
            if case.later is not None:
                case.later()
        limit = time.monotonic() + PATIENCE + len(cases)
        while (open_cases := _open(trial, cases)) and time.monotonic() < limit and daemon.process.poll() is None:
            time.sleep(0.2)
        missing = trial.wait_for_receipts(good, PATIENCE)
        ended = daemon.process.poll() is not None
        said = daemon.said
    observer.stop()
    observer.join()
    yield Figure("the daemon ended", int(ended), 0, detail=said[-300:] if ended else "")
    yield Figure("tracebacks on stderr", said.count("Traceback (most recent call last)"), 0)
    yield none_of("files opened outside the batch", opened.paths)
    yield none_of("traces of code run from the input", list(outside.glob("was_run*")))
    yield Figure("peak memory of a job", peak.bytes / 2**20, MEMORY, "MiB")
    yield none_of("videos without a final status", open_cases)
    known = receipts(trial.root)
    yield none_of("videos judged wrongly", [case for case in cases if case.is_wrong(known.get(case.manifest))])
    yield none_of(
        "errors that do not say what is wrong", [case for case in cases if case.is_dark(known.get(case.manifest))]
    )
    wrong = faults(trial.root / "good", good)
    yield none_of("neighbours not rendered, or incomplete", missing + wrong["lost"] + wrong["torn"])


def _open(trial: Trial, cases: list[Case]) -> list[object]:
    known = receipts(trial.root)
    return [case for case in cases if not case.is_settled(known.get(case.manifest))]
