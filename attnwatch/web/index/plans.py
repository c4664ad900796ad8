"""What a batch says about itself: its plan, and how it ended."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from attnwatch.contract.batch_documents import (
    BatchCompleteDocument,
    BatchDocument,
    FailureDocument,
    PlannedVideo,
    VariationRecord,
)
from attnwatch.contract.names import BATCH_COMPLETE_FILE, BATCH_FILE, FAILURE_SUFFIX, MANIFEST_SUFFIX, printable
from attnwatch.contract.reading import read_document
from attnwatch.errors import AttnwatchError, shortened
from attnwatch.system.roots import Root
from attnwatch.web.documents import VideoRow, WordRecord
from attnwatch.web.index.entries import Entry, Seen, identity, made_entry

_LONGEST_REASON = 1_000


class Known(Protocol):
    """What is known about a batch: its identifier, and its videos that were made and that were not."""

    id: str
    videos: dict[str, Entry]
    planned: dict[str, Entry]


@dataclass(frozen=True)
class Plan:
    """What is known about a batch beside its videos; nothing, of a folder that is not from this generator."""

    document: BatchDocument | None = None
    written: tuple[int, ...] = ()
    ended: Literal["complete", "interrupted"] | None = None
    changed: str | None = None
    variations: Mapping[str, VariationRecord] = field(default_factory=dict)

    @classmethod
    def read(cls, batch: Path, root: Root, before: "Plan") -> "Plan":
        """Read the documents of a batch; the plan only if it has changed since it was read before."""
        document, ended, written = before.document, None, _written(batch / BATCH_FILE)
        if written != before.written:
            document = None
            with contextlib.suppress(AttnwatchError, OSError):
                document, _ = read_document(batch / BATCH_FILE, BatchDocument, root=root)
        with contextlib.suppress(AttnwatchError, OSError):
            ended = read_document(batch / BATCH_COMPLETE_FILE, BatchCompleteDocument, root=root)[0].status
        if document is before.document:
            return replace(before, written=written, ended=ended, changed=_changed(batch))
        variations = {one.prompt_id: one for one in document.variations} if document is not None else {}
        return cls(document, written, ended, _changed(batch), variations)

    @property
    def planned(self) -> int | None:
        """Number of planned videos; None if it is not known."""
        return None if self.document is None else len(self.document.videos) or None

    @property
    def model(self) -> str | None:
        """The model, as its user has named it; None if it is not known."""
        found = self.setting("model", "id")
        return found if isinstance(found, str) else None

    def setting(self, block: str, name: str) -> object:
        """Return a setting of the generator; None if it is not known."""
        settings = self.document.settings.get(block) if self.document is not None else None
        return settings.get(name) if isinstance(settings, dict) else None

    def size(self, name: str) -> int | None:
        """Return a setting of the videos that is a positive whole number; None if it is not known."""
        found = self.setting("video", name)
        return found if isinstance(found, int) and found > 0 else None

    @property
    def slots(self) -> tuple[tuple[str, ...], ...]:
        """The choices of each slot of the template, in their order."""
        return slots_of([one.choices for one in self.variations.values()])


def _written(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


def slots_of(choices: list[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Return the different choices of each slot, in the order in which they come."""
    count = max(map(len, choices), default=0)
    return tuple(tuple(dict.fromkeys(one[slot] for one in choices if slot < len(one))) for slot in range(count))


def _changed(batch: Path) -> str | None:
    try:
        return datetime.fromtimestamp(batch.stat().st_mtime, UTC).isoformat(timespec="seconds")
    except (OSError, ValueError, OverflowError):
        return None


def planned_entries(plan: Plan, known: Known, batch: Path, root: Root) -> Iterator[Entry]:
    """Yield an entry for each planned video that was not made, with the reason if it could not be.

    Args:
        plan: the plan.
        known: what is known about the batch: the videos that were made, and those that were not.
        batch: its folder.
        root: where lookups start.

    """
    failures: dict[Path, frozenset[str]] = {}
    for planned in plan.document.videos if plan.document is not None else ():
        manifest = batch / planned.manifest
        video = identity(manifest, root.path)
        if video in known.videos:
            continue
        if manifest.parent not in failures:
            failures[manifest.parent] = _names_in(manifest.parent, root)
        failure = manifest.with_name(manifest.name.removesuffix(MANIFEST_SUFFIX) + FAILURE_SUFFIX)
        failed = _why_not_made(failure, root) if failure.name in failures[manifest.parent] else None
        waiting = "the batch was interrupted before it was made" if plan.ended == "interrupted" else None
        seen = Seen((plan.written,), "pending" if failed is None else "failed", failed or waiting or "")
        before = known.planned.get(video)
        if before is not None and before.seen == seen:
            yield before
        else:
            yield _planned(plan, planned, manifest, known.id, video=video, seen=seen)


def _names_in(folder: Path, root: Root) -> frozenset[str]:
    try:
        with root.folder(folder) as opened:
            return frozenset(opened.names())
    except OSError:
        return frozenset()


def _why_not_made(path: Path, root: Root) -> str:
    try:
        failure, _ = read_document(path, FailureDocument, root=root)
    except (AttnwatchError, OSError):
        return "it could not be made"
    errors = [attempt.error for attempt in failure.attempts if attempt.error]
    return printable(shortened(errors[-1], _LONGEST_REASON)) if errors else "it could not be made"


def _planned(plan: Plan, planned: PlannedVideo, path: Path, batch: str, *, video: str, seen: Seen) -> Entry:
    variation = plan.variations.get(planned.prompt_id)
    words = tuple(WordRecord(slug=one.slug, text=one.text) for one in variation.tokens) if variation else ()
    row = VideoRow(
        id=video,
        video_id=planned.video_id,
        prompt_id=planned.prompt_id,
        prompt=variation.prompt if variation else None,
        choices=variation.choices if variation else (),
        seed=planned.seed,
        variation=None,
        model=plan.model,
        state=seen.state,
        reason=seen.reason or None,
        words=tuple(word.slug for word in words),
        width=plan.size("width"),
        height=plan.size("height"),
        frames=plan.size("frames"),
    )
    return made_entry(row, path, batch, seen, outputs=None, words=words)
