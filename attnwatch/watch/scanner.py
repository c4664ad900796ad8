"""Finds videos: follows event hints at once, rescans periodically, in short slices.

Scanning a large tree takes seconds. Between two slices, the daemon starts jobs and handles signals.
"""

import itertools
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from attnwatch.batches.discover import Folder, manifest_of, walk
from attnwatch.batches.entered import is_searched
from attnwatch.batches.passed import Passed
from attnwatch.batches.targets import Target, home_of_root, targets_in
from attnwatch.contract.names import is_manifest
from attnwatch.system.exclusion import NOTHING, Exclusion
from attnwatch.system.folders import Links
from attnwatch.system.roots import Root
from attnwatch.watch.supervision import Supervisor

_SLICE = 0.05  # seconds of one slice
_SHARE = 0.01  # share of the time that scans may take
_FIRST = 10  # cost of the first scan, which reads every manifest, over that of later ones


class Scanner:
    """Finds targets below some folders.

    Attributes:
        scans: number of completed scans.
        seconds: processor time of the last scan.
        folders: number of folders in the last scan.
        found: number of targets that the last scan found.
        passed: what the last scan passed without finding a video.
        linked_near: links to folders that hints led to since, and that were not followed.

    """

    def __init__(
        self, roots: Iterable[Path], *, collect: bool = False, links: Links = Links.NONE, excluded: Exclusion = NOTHING
    ) -> None:
        self._roots = tuple(roots)
        self._links = links
        self._excluded = excluded
        self._collect = collect
        self._supervisor = Supervisor()
        self._hinted: deque[Iterator[Target | None]] = deque()
        self._scan: Iterator[Target | None] | None = None
        self._again = True
        self._due = 0.0
        self._spent = 0.0
        self._seen = 0
        self._count = 0
        self._passed = Passed()
        self.passed = Passed()
        self.linked_near: list[Path] = []
        self.scans = 0
        self.seconds = 0.0
        self.folders = 0
        self.found = 0

    @property
    def is_busy(self) -> bool:
        """Whether there is more to scan right now."""
        return self._scan is not None or self._again or bool(self._hinted)

    @property
    def next_scan(self) -> float:
        """Monotonic time of the next scan."""
        return self._due

    def wait(self, interval: float) -> None:
        """Schedule the next scan `interval` seconds from now, or later if the last one took long."""
        predicted = self.seconds if self.scans > 1 else self.seconds / _FIRST
        self._due = time.monotonic() + max(interval, predicted / _SHARE)

    def ask_for_scan(self) -> None:
        """Scan everything as soon as possible, after a scan that is under way."""
        self._again = True

    def follow(self, hints: Iterable[Path]) -> None:
        """Look where hints point before the scan continues."""
        searched = (path for path in _outermost(hints) if any(self._reaches(root, path) for root in self._roots))
        self._hinted.extend(self._targets_near(path) for path in searched)

    def find(self, interval: float | None) -> Iterator[Target]:
        """Yield targets for a slice of time.

        Args:
            interval: least seconds between two scans; None to scan only once.

        """
        limit = time.monotonic() + _SLICE
        while self._hinted:
            yield from _until(limit, self._hinted[0])
            if time.monotonic() >= limit:
                return
            self._hinted.popleft()
        if self._scan is None and (self._again or (interval is not None and time.monotonic() >= self._due)):
            self._again, self._spent, self._seen, self._count = False, 0.0, len(self._roots), 0
            self._passed = Passed(looks_for_unmarked=self.scans == 0)
            self._scan = itertools.chain.from_iterable(map(self._everything_below, self._roots))
        if self._scan is not None:
            began = time.thread_time()
            for target in _until(limit, self._scan):
                self._count += 1
                yield target
            self._spent += time.thread_time() - began
            if time.monotonic() < limit:
                self._finish(interval)

    def _targets_near(self, path: Path) -> Iterator[Target | None]:
        """Yield the targets at a path that a hint points to."""
        root = next(root for root in self._roots if self._reaches(root, path))
        for folder in walk(manifest_of(path), start=self._start(root)):
            self.linked_near.extend(Path(folder.path, name) for name in folder.linked)
            yield from self._targets([folder], self._roots, None)

    def _reaches(self, root: Path, path: Path) -> bool:
        return is_searched(path, root, self._excluded)

    def _start(self, root: Path) -> Root:
        return Root(home_of_root(root), self._links, excluded=self._excluded)

    def _everything_below(self, root: Path) -> Iterator[Target | None]:
        with self._supervisor.about(root):
            for folder in walk(root, start=self._start(root)):
                self._seen += folder.folders
                self._passed.take(folder)
                yield from self._targets([folder], [root], root if self._collect else None)

    def _targets(
        self, folders: Iterable[Folder], roots: Sequence[Path], collected: Path | None
    ) -> Iterator[Target | None]:
        """Yield the targets in folders, and None after each, so that a slice ends in time among empty folders."""
        for folder in folders:
            with self._supervisor.about(folder.path):
                yield from targets_in(folder, roots, collected)
            yield None

    def _finish(self, interval: float | None) -> None:
        self._scan = None
        self.scans += 1
        self.seconds, self.folders, self.found = self._spent, self._seen, self._count
        self.passed = self._passed
        self.wait(float("inf") if interval is None else interval)


def _outermost(hints: Iterable[Path]) -> Iterator[Path]:
    """Leave out the folders in other ones that are hinted at too: of a deep tree, each would be walked again and again.

    A video inside stays, because it is found sooner by its own path.
    """
    above: str | None = None
    for key, path in sorted((_key(path), path) for path in hints):  # what is in a folder follows it at once
        if above is not None and key.startswith(above):
            if is_manifest(path.name):
                yield path
        else:
            above = f"{key}\0"
            yield path


def _key(path: Path) -> str:
    """Return a key that sorts paths by their components, as paths do themselves, but fast enough for deep ones."""
    return str(path).rstrip("/").replace("/", "\0")


def _until(limit: float, found: Iterator[Target | None]) -> Iterator[Target]:
    """Yield targets until the slice is over."""
    for target in found:
        if target is not None:
            yield target
        if time.monotonic() >= limit:
            return
