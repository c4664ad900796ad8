"""Looks at the folders of a tree, one at a time, and enters what is in them into the catalogue."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from attnwatch.batches.discover import Folder as Visited
from attnwatch.batches.discover import walk
from attnwatch.batches.targets import batch_of
from attnwatch.contract.names import MEASURES_SUFFIX, OUTPUT_DIRECTORY
from attnwatch.report.survey import Rendering, Surveyed
from attnwatch.system.locks import locked_inodes
from attnwatch.web.index.catalogue import Catalogue
from attnwatch.web.index.entries import Entry, entry_of, identity
from attnwatch.web.index.plans import Plan, planned_entries


@dataclass
class Known:
    """A folder that was looked at: times of it and of its outputs then, and its videos by batch."""

    times: tuple[int | None, int | None]
    videos: dict[str, set[str]]
    batch: str | None = None


class Tree:
    """The folders below a root.

    Args:
        catalogue: takes what is found.
        surveyed: where lookups start.

    Attributes:
        folders: the folders that were looked at, by path.

    """

    def __init__(self, catalogue: Catalogue, surveyed: Surveyed) -> None:
        self.folders: dict[str, Known] = {}
        self._catalogue = catalogue
        self._surveyed = surveyed
        self._root = surveyed.root.path
        self._paths: dict[str, Path] = {}
        self._due: set[str] = set()

    def walk(self, start: Path | None = None) -> Iterator[None]:
        """Look at all folders at or below one; by default, at everything, and forget what is gone."""
        locked, seen = locked_inodes(), set[str]()
        for folder in walk(start or self._root, start=self._surveyed.root):
            seen.add(folder.path)
            self._look(folder, locked)
            yield
        for path in [path for path in self.folders if start is None and path not in seen]:
            self._forget(path)
        self._read_plans()

    def poll(self) -> Iterator[None]:
        """Look again at the folders to which something was added, or from which something was removed."""
        changed = [path for path, known in self.folders.items() if self._times(path) != known.times]
        for path in changed:
            self.look(Path(path))
            yield

    def look(self, path: Path) -> None:
        """Look at a folder again, and at those inside that are new."""
        known = dict(self.folders)
        locked = locked_inodes()
        for folder in walk(path, start=self._surveyed.root):
            if folder.path == str(path) or folder.path not in known:
                self._look(folder, locked)
        if not path.exists():
            self._forget(str(path))
        self._read_plans()

    def _look(self, folder: Visited, locked: frozenset[int]) -> None:
        before = self.folders.get(folder.path)
        times = self._times(folder.path)  # before it is read: what comes meanwhile is found the next time
        found = dict[str, set[str]]()
        batch = self._batch(Path(folder.path)) if folder.is_batch else None
        home = identity(batch_of(Path(folder.path, "_")), self._root)
        self._due.update(filter(None, (batch, home if home in self._paths else None)))
        entries: dict[str, list[Rendering]] = {}
        for rendering in self._surveyed.beside(folder, locked):
            path = rendering.place.manifest
            entries.setdefault(self._batch(batch_of(path)), []).append(rendering)
        for one, renderings in entries.items():
            self._due.add(one)
            made = [self._entry(rendering, one) for rendering in renderings]
            found[one] = {entry.id for entry in made}
            gone = before.videos.get(one, set()) - found[one] if before is not None else set[str]()
            self._catalogue.put(one, self._paths[one], made, gone)
        for one in (before.videos.keys() - found.keys()) if before is not None else ():
            self._catalogue.put(one, self._paths[one], (), before.videos[one] if before else ())
        self.folders[folder.path] = Known(times, found, batch)

    def _entry(self, rendering: Rendering, batch: str) -> Entry:
        place = rendering.place
        seen = (
            rendering.state,
            str(rendering.reason),
            rendering.problem,
            _stamp(place.manifest),
            _stamp(place.path),
            _stamp(place.directory / f"{place.video_id}{MEASURES_SUFFIX}"),
        )
        known = self._catalogue.entry(identity(place.manifest, self._root))
        if known is not None and known.seen == seen:
            return known
        return entry_of(rendering, self._surveyed.root, batch, seen)

    def _forget(self, path: str) -> None:
        known = self.folders.pop(path, None)
        if known is None:
            return
        for batch, videos in known.videos.items():
            self._catalogue.put(batch, self._paths[batch], (), videos)
        if known.batch is not None:
            self._catalogue.remove(known.batch)

    def _read_plans(self) -> None:
        """Read what batches say about themselves in which something has changed."""
        due, self._due = self._due, set()
        for batch in due:
            path = self._paths[batch]
            plan = Plan.read(path, self._surveyed.root)
            made = frozenset(entry.id for entry in self._catalogue.entries(batch) if entry.place is not None)
            self._catalogue.plan(batch, path, plan, planned_entries(plan, path, batch, made, self._surveyed.root))

    def _batch(self, path: Path) -> str:
        name = identity(path, self._root)
        self._paths.setdefault(name, path)
        return name

    def _times(self, path: str) -> tuple[int | None, int | None]:
        outputs = self._surveyed.places(Path(path) / OUTPUT_DIRECTORY)
        return _modified(path), _modified(str(outputs))


def _modified(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - Path costs ten times as much
    except OSError:
        return None


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns
