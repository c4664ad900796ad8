"""Mutated files of each kind, of which none may end the watcher, hold it up, or be rendered again and again.

Most of them are read in limited processes by the functions that the watcher's loop, `attnwatch status`,
`attnwatch check` and the jobs call (`tests.chaos.fuzzed`): a watcher for each would take hours. A smaller share lies in
one tree that a watcher with `--once` and then a running one render for real. `CHAOS_SEED` chooses other mutations; a
fault is named by its kind and number, from which `python -m tests.chaos.fuzzed` makes the same file again.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.chaos.figures import Figure, Line, Scale, none_of, seconds
from tests.chaos.fuzzed import KINDS
from tests.chaos.material import Material
from tests.chaos.trial import PATIENCE, QUICK_PICTURES, REPOSITORY, Trial
from tests.support import environment

LONGEST_TURN = 1.0  # seconds
LONGEST_FILE = 30.0  # seconds after which the reading of a file counts as endless
LONGEST_START = 120.0  # seconds until the first one: modules are imported before
ATTEMPTS = 3
QUIET = 3.0  # seconds
RENDERED = 0.03  # share of the mutations that is rendered
UNFORESEEN = re.compile(r"Traceback \(most recent call last\)|that attnwatch does not expect")
SETTINGS = (
    *("--workers", 2),
    *("--set", f"max_attempts={ATTEMPTS}"),
    *("--set", "retry_backoff=0.1"),
    *("--set", "rescan_interval=0.5"),
    *("--set", "settle_time=0"),
    *("--set", "settle_time_unmarked=0"),
    *QUICK_PICTURES,
)


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Read many mutated files of each kind in limited processes, and render some by watchers."""
    seed = int(os.environ.get("CHAOS_SEED", "1"))
    count = int(os.environ.get("CHAOS_FUZZ", scale.pick(20, 10_000)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(partial(_read, folder, seed, count), KINDS):
            yield from found.lines(count, seed)
    yield from _rendered(folder / "watched", seed, max(2, round(count * RENDERED)))


@dataclass
class _Found:
    """What reading the mutations of one kind found: faults by where they showed, and seconds of the loop's part."""

    kind: str
    faults: dict[str, list[str]] = field(default_factory=lambda: {"loop": [], "job": [], "log": [], "process": []})
    longest: float = 0.0

    def take(self, line: str) -> None:
        number, where, what = json.loads(line)
        if where == "seconds":
            self.longest = max(self.longest, what)
        else:
            self.faults[where].append(f"{number}: {what}")

    def lines(self, count: int, seed: int) -> Iterator[Line]:
        about = f"{count:,} x {self.kind}, seed {seed}"
        yield none_of(f"{about}: errors in the loop or `status`", self.faults["loop"] + self.faults["log"])
        yield none_of(f"{about}: tracebacks in jobs or `check`", self.faults["job"])
        yield none_of(f"{about}: readings that crashed or did not end", self.faults["process"])
        yield seconds(f"{about}: longest look at one", self.longest, LONGEST_TURN)


def _read(folder: Path, seed: int, count: int, kind: str) -> _Found:
    """Read the mutations of one kind in a process, and in another one from the next number on if it ends early."""
    found, first, tried = _Found(kind), 0, 0
    while first < count:
        tried += 1
        place = folder / f"{kind}_{tried}"
        place.mkdir(parents=True)
        code, reached = _process(found, place, (kind, seed, first, count - first))
        shutil.rmtree(place)
        if code == 0:
            break
        assert reached is not None, f"{kind}: the process ended with {code} before its first file"
        found.faults["process"].append(f"{reached}: {'no end' if code is None else code}")
        first = reached + 1
    return found


def _process(found: _Found, place: Path, mutations: tuple[object, ...]) -> tuple[int | None, int | None]:
    """Run one process; return its exit code, None if it was ended, and the number of its last file."""
    output, errors = place / "found", place / "errors"
    command = [sys.executable, "-m", "tests.chaos.fuzzed", *map(str, mutations), str(place)]
    with output.open("wb") as to, errors.open("wb") as said:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment(), stdin=subprocess.DEVNULL, stdout=to, stderr=said
        )
        try:
            code = _watched(process, place)
        finally:
            process.kill()
            process.wait()
    for line in output.read_text(encoding="utf-8").splitlines():
        found.take(line)
    return code, _progress(place)


def _watched(process: "subprocess.Popen[bytes]", place: Path) -> int | None:
    """Wait for the end of a process, as long as it goes on to the next file in time; None if it does not."""
    last, since = _progress(place), time.monotonic()
    while time.monotonic() - since < (LONGEST_START if last is None else LONGEST_FILE):
        try:
            return process.wait(0.2)
        except subprocess.TimeoutExpired:
            if (now := _progress(place)) != last:
                last, since = now, time.monotonic()
    return None


def _progress(place: Path) -> int | None:
    try:
        return int((place / "progress").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _rendered(folder: Path, seed: int, each: int) -> Iterator[Line]:
    """Render a tree of mutations of all kinds, first by a watcher with `--once`, then by a running one."""
    trial, about = Trial(folder), f"{each:,} of each kind in a tree"
    for name in KINDS:
        _plant(trial.root, name, seed, each)
    once, running = _Turns(folder / "turns_once"), _Turns(folder / "turns_running")
    with trial.daemon("--once", *SETTINGS, **once.variables) as daemon:
        code = daemon.process.wait(PATIENCE + each * len(KINDS) * ATTEMPTS)
        ended, said = [f"--once: {code}"] * (code not in (0, 1)), daemon.said
    with trial.daemon(*SETTINGS, **running.variables) as daemon:
        daemon.wait_for("watching")
        good = Material(folder / "material").add_many(trial.root / "good", 2)
        missing = trial.wait_for_receipts(good, PATIENCE + each)
        _wait_until_quiet(trial, 60 + each)
        state, code = trial.status(), daemon.process.poll()
        ended += [f"running: {code}"] * (code is not None)
        said += daemon.said
    times = trial.renderings()
    # A video beside its own outputs and one in the collection of its batch are two, and have a receipt each.
    collected = tuple(str(trial.root / name) for name in KINDS if name.startswith("batch"))
    often = [path for path in times if times[path] > ATTEMPTS * (1 + path.startswith(collected))]
    yield none_of(f"{about}: ends of a watcher", ended)
    yield none_of(f"{about}: tracebacks in the log", _unforeseen(said))
    yield none_of(f"{about}: videos rendered more than {ATTEMPTS} times", often)
    yield none_of(f"{about}: good videos not rendered", missing)
    yield Figure(f"{about}: `attnwatch status` failed", int(not state), 0)
    yield seconds(f"{about}: longest turn of the loop", max(once.longest, running.longest), LONGEST_TURN)


@dataclass(frozen=True)
class _Turns:
    """The file in which one watcher keeps the seconds of its longest turn."""

    path: Path

    @property
    def variables(self) -> dict[str, str]:
        return {"CHAOS_STUB": "real", "CHAOS_TURNS": str(self.path)}

    @property
    def longest(self) -> float:
        return float(self.path.read_text(encoding="utf-8"))


def _wait_until_quiet(trial: Trial, limit: float) -> None:
    """Wait until no rendering has begun for a while: attempts follow each other at once."""
    end, begun, since = time.monotonic() + limit, -1, time.monotonic()
    while time.monotonic() < min(end, since + QUIET):
        if (now := len(trial.notes("start"))) != begun:
            begun, since = now, time.monotonic()
        time.sleep(0.1)


def _unforeseen(said: str) -> list[str]:
    lines = said.splitlines()
    return [f"{number}: {line[-200:]}" for number, line in enumerate(lines) if UNFORESEEN.search(line)]


def _plant(root: Path, name: str, seed: int, each: int) -> None:
    """Write batches with one mutated file each, or one batch if the files belong to the whole tree."""
    kind = KINDS[name]
    for number in range(each):
        place = root / name / f"{0 if kind.is_for_all else number:05d}"
        place.mkdir(parents=True, exist_ok=True)
        path = kind.seed(place)
        data = kind.mutated(name, path.read_bytes(), seed, number)
        if kind.is_for_all:
            path.unlink()
            path = root / path.parent.name / f"fuzz.{number + 1}.json"
            path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
