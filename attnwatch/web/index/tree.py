"""Looks at the folders of a tree, one at a time, and enters what is in them into the catalogue."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from attnwatch.batches.discover import Folder as Visited
from attnwatch.batches.discover import walk
from attnwatch.batches.entered import is_searched
from attnwatch.batches.targets import batch_of
from attnwatch.contract.names import OUTPUT_DIRECTORY, printable
from attnwatch.report.found_outputs import Surveyed
from attnwatch.report.survey import beside
from attnwatch.report.video_state import Rendering
from attnwatch.system.locks import locked_inodes
from attnwatch.web.index.catalogue import Catalogue
from attnwatch.web.index.entries import Entry, Seen, entry_of, identity
from attnwatch.web.index.glance import Glance, times_of
from attnwatch.web.index.plans import Plan, planned_entries

_SETTLED = frozenset({"rendered", "skipped", "failed"})
"""States that only change with the files that they are read from."""


@dataclass
class Known:
    """A folder that was looked at.

    Attributes:
        glance: what was in it.
        videos: its videos, by the path of the manifest.
        batch: its identifier, if it is a batch.
        again: whether it may have changed once more while it was looked at.
        elsewhere: other folders of outputs, which older batches have, and when each had last changed.

    """

    glance: Glance
    videos: dict[str, Entry] = field(default_factory=dict)
    batch: str | None = None
    again: bool = False
    elsewhere: Mapping[str, int | None] = field(default_factory=dict)


class Tree:
    """The folders below a root.

    Args:
        catalogue: takes what is found.
        surveyed: where lookups start.

    Attributes:
        folders: number of folders in the last walk, including those of tensors and outputs.

    """

    def __init__(self, catalogue: Catalogue, surveyed: Surveyed) -> None:
        self._catalogue = catalogue
        self._surveyed = surveyed
        self._root = surveyed.root.path
        self._known: dict[str, Known] = {}
        self._homes: dict[str, str] = {}
        self._batches: dict[str, Path] = {}
        self._due: set[str] = set()
        self._announced: Mapping[str, str] = {}
        self.folders = 0

    def walk(self) -> Iterator[None]:
        """Look at everything, whatever is known about it, and forget what is gone; pause after each folder."""
        locked, before, folders = locked_inodes(), set(self._known), 1
        for folder in walk(self._root, start=self._surveyed.root):
            before.discard(folder.path)
            folders += folder.folders
            self._look(folder, locked, known=None)
            if folder.is_batch:
                self._read_plans()
            yield
        for path in before & self._known.keys():
            self._forget(path)
        self._read_plans()
        self.folders = folders

    def poll(self) -> Iterator[None]:
        """Look at the folders to which something was added, or from which something was removed."""
        for path, known in list(self._known.items()):
            is_same = self._times(path) == known.glance.changed and not known.again
            if not is_same or any(times_of(one) != before for one, before in known.elsewhere.items()):
                self.look(Path(path))
            yield

    def look(self, path: Path) -> None:
        """Look at what has changed in a folder, and at the folders inside that are new.

        Args:
            path: the folder, or one of outputs.

        """
        usual = path.parent if path.name == OUTPUT_DIRECTORY else path
        path = Path(self._homes.get(str(path), usual))
        if not is_searched(path, self._root, self._surveyed.root.excluded):
            return
        locked = locked_inodes()
        for folder in walk(path, start=self._surveyed.root):
            known = self._known.get(folder.path)
            if known is None or folder.path == str(path):
                self._look(folder, locked, known)
        if times_of(str(path)) is None:
            for inside in [one for one in self._known if one == str(path) or one.startswith(f"{path}/")]:
                self._forget(inside)
        self._read_plans()

    def announce(self, running: Mapping[str, str]) -> None:
        """Take which videos are being rendered, by their manifests, and by whom."""
        before, self._announced = self._announced, running
        changed = {manifest for manifest, _ in set(before.items()) ^ set(running.items())}
        homes = (next((p for p in Path(one).parents if str(p) in self._known), None) for one in changed)
        for folder in set(filter(None, homes)):
            self.look(folder)

    def _look(self, folder: Visited, locked: frozenset[int], known: Known | None) -> None:
        """Look at a folder; with what is known about it, only at what has changed."""
        before = self._known.get(folder.path)
        glance = Glance.at(Path(folder.path), self._surveyed)
        same = self._unchanged(known.videos, glance) if known is not None else {}
        changed = replace(folder, files=[name for name in folder.files if f"{folder.path}/{name}" not in same])
        receipts = glance.receipts_but({entry.video_id for entry in same.values()}) if same else None
        found = dict(same)
        for rendering in beside(changed, self._surveyed, locked, receipts):
            entry = self._entry(rendering, glance)
            found[str(rendering.place.manifest)] = entry
        self._enter(found.values(), before.videos.values() if before is not None else ())
        batch = self._batch(Path(folder.path)) if folder.is_batch else None
        again = glance.is_recent(time.time_ns())
        usual = str(self._surveyed.places(Path(folder.path, OUTPUT_DIRECTORY)))
        apart = {str(entry.outputs) for entry in found.values() if not entry.is_beside}
        elsewhere = {outputs: times_of(outputs) for outputs in apart}
        self._known[folder.path] = Known(glance, found, batch, again, elsewhere)
        self._homes.update(dict.fromkeys((usual, *elsewhere), folder.path))
        if before is None or glance.changed != before.glance.changed:
            home = identity(batch_of(Path(folder.path, "_")), self._root)
            self._due.update(one for one in (batch, home) if one in self._batches)

    def _unchanged(self, videos: Mapping[str, Entry], glance: Glance) -> dict[str, Entry]:
        return {
            path: entry
            for path, entry in videos.items()
            if entry.state in _SETTLED
            and printable(path) not in self._announced
            and entry.is_beside  # of older videos, no more is known than that they are there
            and entry.seen.times == glance.of_video(Path(path).name, entry.video_id)
        }

    def _entry(self, rendering: Rendering, glance: Glance) -> Entry:
        manifest = rendering.place.manifest
        worker = self._announced.get(printable(str(manifest))) if self._announced else None
        if worker is not None:  # perhaps on another machine, whose locks are not visible here
            rendering = replace(rendering, state="running", reason=None)
        times = glance.of_video(manifest.name, rendering.place.video_id)
        seen = Seen(times, rendering.state, str(rendering.reason), worker)
        known = self._catalogue.entry(identity(manifest, self._root))
        if known is not None and known.seen == seen:
            return known
        return entry_of(rendering, self._surveyed.root, self._batch(batch_of(manifest)), seen)

    def _enter(self, found: Iterable[Entry], before: Iterable[Entry]) -> None:
        batches, gone = defaultdict[str, list[Entry]](list), {entry.id: entry.batch for entry in before}
        for entry in found:
            batches[entry.batch].append(entry)
            if gone.get(entry.id) == entry.batch:
                del gone[entry.id]
        for batch in {*batches, *gone.values()}:
            if batch not in self._batches:  # its folder is gone, and so is the batch
                continue
            self._due.add(batch)
            lost = [video for video, its in gone.items() if its == batch]
            self._catalogue.put(batch, self._batches[batch], batches[batch], lost)

    def _forget(self, path: str) -> None:
        known = self._known.pop(path)
        self._enter((), known.videos.values())
        if known.batch is not None:
            self._batches.pop(known.batch, None)
            self._due.discard(known.batch)
            self._catalogue.remove(known.batch)

    def _read_plans(self) -> None:
        """Read what batches say about themselves in which something has changed."""
        due, self._due = self._due, set()
        for batch in due & self._batches.keys():
            path, start, known = self._batches[batch], self._surveyed.root, self._catalogue.batch(batch)
            plan = Plan.read(path, start, known.plan)
            if plan.document is None and not known.videos:
                del self._batches[batch]
                self._catalogue.remove(batch)
            else:
                self._catalogue.plan(batch, path, plan, list(planned_entries(plan, known, path, start)))

    def _batch(self, path: Path) -> str:
        name = identity(path, self._root)
        self._batches.setdefault(name, path)
        return name

    def _times(self, path: str) -> tuple[int | None, int | None]:
        return times_of(path), times_of(str(self._surveyed.places(Path(path) / OUTPUT_DIRECTORY)))
