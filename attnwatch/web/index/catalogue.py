"""All batches and videos of a tree, and what has changed in it; one thread writes, any number read."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from attnwatch.contract.names import printable
from attnwatch.web.documents import Batch, BatchSummary, Counts, State, VideoRow, WatcherRecord, WordRecord
from attnwatch.web.index.entries import Entry
from attnwatch.web.index.plans import Plan, slots_of

MOST_ROWS = 20_000
"""Videos of a batch that are listed."""

_REMEMBERED = 20_000  # changes; who has missed more loads everything again
_MADE: tuple[State, ...] = ("rendered", "skipped", "running", "waiting", "failed")


class Change(NamedTuple):
    """A batch that has changed, or one of its videos."""

    revision: int
    batch: str
    video: str | None


@dataclass
class Listed:
    """A batch in the catalogue: its folder, its plan, and its videos by identifier.

    Attributes:
        id: its identifier.
        path: its folder.
        plan: what it says about itself.
        videos: those that were made.
        planned: those that were not, or were not when the plan was read last.
        states: number of those that were made, by state.
        words: the words that any of them has tracked.
        revision: number of the last change in it.

    """

    id: str
    path: Path
    plan: Plan = field(default_factory=Plan)
    videos: dict[str, Entry] = field(default_factory=dict)
    planned: dict[str, Entry] = field(default_factory=dict)
    states: Counter[State] = field(default_factory=Counter)
    words: dict[WordRecord, None] = field(default_factory=dict)
    revision: int = 0

    def entries(self) -> list[Entry]:
        """Return all entries: those that were made, then those that were not."""
        return [*self.videos.values(), *(entry for key, entry in self.planned.items() if key not in self.videos)]

    def put(self, entry: Entry) -> None:
        """Add or replace a video that was made."""
        self.drop(entry.id)
        self.videos[entry.id] = entry
        self.states[entry.state] += 1
        self.words.update(dict.fromkeys(entry.words))

    def drop(self, video: str) -> bool:
        """Remove a video; return whether it was there."""
        entry = self.videos.pop(video, None)
        if entry is not None:
            self.states[entry.state] -= 1
        return entry is not None

    def plan_for(self, entries: Iterable[Entry]) -> list[str]:
        """Take the videos that were not made; return those that have changed."""
        before, self.planned = self.planned, {entry.id: entry for entry in entries}
        for entry in self.planned.values():
            self.words.update(dict.fromkeys(entry.words))
        changed = [key for key, entry in self.planned.items() if before.get(key) is not entry]
        return changed + [key for key in before if key not in self.planned and key not in self.videos]

    @property
    def unmade(self) -> int:
        """Number of videos that could not be made."""
        return sum(entry.state == "failed" for key, entry in self.planned.items() if key not in self.videos)


@dataclass
class Changes:
    """What has changed since a revision: up to which revision this tells, and which batches and videos."""

    revision: int
    batches: dict[str, None]
    videos: dict[str, dict[str, None]]


class Catalogue:
    """The batches below a root.

    Args:
        root: the folder.

    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.watcher: WatcherRecord | None = None
        self._lock = threading.RLock()
        self._batches: dict[str, Listed] = {}
        self._where: dict[str, str] = {}
        # Later than that of any earlier server, so that a page which comes back after a restart loads everything.
        self._revision = self._oldest = time.time_ns() // 1_000_000
        self._changes: deque[Change] = deque(maxlen=_REMEMBERED)
        self._listeners: list[Callable[[], None]] = []
        self._last_document: tuple[str, int, bytes] = ("", 0, b"")

    @property
    def revision(self) -> int:
        """Number of the last change."""
        return self._revision

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call a function after each change, from the thread that makes it; return what ends this."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def entry(self, video: str) -> Entry | None:
        """Return a video by its identifier; None if there is none."""
        with self._lock:
            batch = self._batches.get(self._where.get(video, ""))
            return None if batch is None else batch.videos.get(video) or batch.planned.get(video)

    def summaries(self, only: Iterable[str] | None = None) -> list[BatchSummary]:
        """Return all batches, by path, or some of them."""
        with self._lock:
            chosen = self._batches.values() if only is None else filter(None, map(self._batches.get, only))
            return [self._summary(batch) for batch in sorted(chosen, key=lambda batch: batch.path)]

    def summary(self, identifier: str) -> BatchSummary | None:
        """Return one batch; None if there is none."""
        return next(iter(self.summaries([identifier])), None)

    def entries(self, batch: str) -> list[Entry]:
        """Return the videos of a batch; none if there is no such batch."""
        with self._lock:
            found = self._batches.get(batch)
            return [] if found is None else found.entries()

    def document(self, identifier: str) -> bytes | None:
        """Return a batch with its videos, as JSON; None if there is no such batch."""
        with self._lock:
            batch = self._batches.get(identifier)
            if batch is None:
                return None
            last, at, document = self._last_document
            if last == identifier and at == batch.revision:  # many who ask for the same share it
                return document
            entries, summary, plan, revision = batch.entries(), self._summary(batch), batch.plan, batch.revision
        entries.sort(key=lambda entry: entry.path)
        shown = entries[:MOST_ROWS]
        slots = plan.slots if plan.document is not None else slots_of([choices_of(entry) for entry in shown])
        head = Batch(**dict(summary), slots=slots, left_out=len(entries) - len(shown), videos=()).model_dump_json()
        document = b"%b[%b]}" % (head.removesuffix("[]}").encode(), b",".join(entry.row for entry in shown))
        self._last_document = (identifier, revision, document)
        return document

    def batch(self, identifier: str) -> Listed:
        """Return what is known about a batch, for the thread that writes."""
        with self._lock:
            return self._batches.get(identifier) or Listed(identifier, self.root)

    def put(self, batch: str, folder: Path, entries: Iterable[Entry], gone: Iterable[str] = ()) -> None:
        """Add or replace videos of a batch, and remove those that are gone."""
        with self._lock:
            found = self._batches.setdefault(batch, Listed(batch, folder))
            changed = [entry for entry in entries if found.videos.get(entry.id) is not entry]
            lost = [video for video in gone if found.drop(video)]
            for entry in changed:
                found.put(entry)
                self._where[entry.id] = batch
            for video in lost:
                if video not in found.planned:
                    self._where.pop(video, None)
            if not changed and not lost:
                return
            self._note(batch, *(entry.id for entry in changed), *lost)
        self._tell()

    def plan(self, batch: str, folder: Path, plan: Plan, planned: Iterable[Entry]) -> None:
        """Set what a batch says about itself, and its videos that were not made."""
        with self._lock:
            found = self._batches.setdefault(batch, Listed(batch, folder))
            same, found.plan = found.plan == plan, plan
            changed = found.plan_for(planned)
            for video in changed:
                if video in found.planned:
                    self._where[video] = batch
                else:
                    self._where.pop(video, None)
            if same and not changed:
                return
            self._note(batch, *changed)
        self._tell()

    def remove(self, batch: str) -> None:
        """Remove a batch with all of its videos."""
        with self._lock:
            found = self._batches.pop(batch, None)
            if found is None:
                return
            for entry in found.entries():
                self._where.pop(entry.id, None)
            self._note(batch)
        self._tell()

    def see(self, watcher: WatcherRecord | None) -> None:
        """Set the watcher that is at work."""
        if self.watcher != watcher:
            self.watcher = watcher
            with self._lock:
                self._note("")
            self._tell()

    def changes(self, after: int) -> Changes | None:
        """Return what has changed after a revision; None if that is not known, or none of this run."""
        with self._lock:
            if not self._oldest <= after <= self._revision:
                return None
            batches, videos = dict[str, None](), dict[str, dict[str, None]]()
            for change in reversed(self._changes):
                if change.revision <= after:
                    break
                if change.video is None:
                    batches[change.batch] = None
                else:
                    videos.setdefault(change.batch, {})[change.video] = None
            return Changes(self._revision, batches, videos)

    def _note(self, batch: str, *videos: str) -> None:
        """Remember that videos of a batch have changed, and with them the batch."""
        for video in (*videos, None):
            self._revision += 1
            if batch in self._batches:
                self._batches[batch].revision = self._revision
            if len(self._changes) == self._changes.maxlen:
                self._oldest = self._changes[0].revision
            self._changes.append(Change(self._revision, batch, video))

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    def _summary(self, batch: Listed) -> BatchSummary:
        states = batch.states
        counts = Counts(finished=states.total(), unmade=batch.unmade, **{state: states[state] for state in _MADE})
        models = (entry.model for entry in batch.videos.values() if entry.model)
        below = batch.path.relative_to(self.root) if batch.path.is_relative_to(self.root) else batch.path
        return BatchSummary(
            id=batch.id,
            name=printable(batch.path.name),
            path=printable(str(below)),
            model=batch.plan.model or next(models, None),
            created=batch.plan.document.created if batch.plan.document is not None else None,
            changed=batch.plan.changed,
            planned=batch.plan.planned,
            ended=batch.plan.ended,
            counts=counts,
            words=tuple(batch.words),
            template=batch.plan.document.template if batch.plan.document is not None else None,
        )


def choices_of(entry: Entry) -> tuple[str, ...]:
    """Return what stands in each slot of the template of a video."""
    return VideoRow.model_validate_json(entry.row).choices
