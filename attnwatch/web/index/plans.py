"""What a batch says about itself: its plan, and how it ended."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

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
from attnwatch.web.index.entries import Entry, identity

_LONGEST_REASON = 1_000


@dataclass(frozen=True)
class Plan:
    """What is known about a batch beside its videos; nothing, of a folder that is not from this generator."""

    document: BatchDocument | None = None
    ended: Literal["complete", "interrupted"] | None = None
    changed: str | None = None
    variations: Mapping[str, VariationRecord] = field(default_factory=dict)

    @classmethod
    def read(cls, batch: Path, root: Root) -> "Plan":
        """Read the documents of a batch."""
        document = ended = None
        with contextlib.suppress(AttnwatchError, OSError):
            document, _ = read_document(batch / BATCH_FILE, BatchDocument, root=root)
        with contextlib.suppress(AttnwatchError, OSError):
            ended = read_document(batch / BATCH_COMPLETE_FILE, BatchCompleteDocument, root=root)[0].status
        variations = {one.prompt_id: one for one in document.variations} if document is not None else {}
        return cls(document, ended, _changed(batch), variations)

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


def slots_of(choices: list[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Return the different choices of each slot, in the order in which they come."""
    count = max(map(len, choices), default=0)
    return tuple(tuple(dict.fromkeys(one[slot] for one in choices if slot < len(one))) for slot in range(count))


def _changed(batch: Path) -> str | None:
    try:
        return datetime.fromtimestamp(batch.stat().st_mtime, UTC).isoformat(timespec="seconds")
    except (OSError, ValueError, OverflowError):
        return None


def planned_entries(plan: Plan, batch: Path, identifier: str, made: frozenset[str], root: Root) -> Iterator[Entry]:
    """Yield an entry for each planned video that was not made, with the reason if it could not be.

    Args:
        plan: the plan.
        batch: folder of the batch.
        identifier: its identifier.
        made: identifiers of the videos that were made.
        root: where lookups start.

    """
    failures: dict[Path, frozenset[str]] = {}
    for planned in plan.document.videos if plan.document is not None else ():
        manifest = batch / planned.manifest
        video = identity(manifest, root.path)
        if video in made:
            continue
        if manifest.parent not in failures:
            failures[manifest.parent] = _names_in(manifest.parent, root)
        failure = manifest.with_name(manifest.name.removesuffix(MANIFEST_SUFFIX) + FAILURE_SUFFIX)
        reason = _why_not_made(failure, root) if failure.name in failures[manifest.parent] else None
        yield _planned_entry(planned, manifest, plan, identifier, video=video, failed=reason)


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


def _planned_entry(
    planned: PlannedVideo, manifest: Path, plan: Plan, batch: str, *, video: str, failed: str | None
) -> Entry:
    variation = plan.variations.get(planned.prompt_id)
    words = tuple(WordRecord(slug=one.slug, text=one.text) for one in variation.tokens) if variation else ()
    waiting = "the batch was interrupted before it was made" if plan.ended == "interrupted" else None
    row = VideoRow(
        id=video,
        video_id=planned.video_id,
        prompt_id=planned.prompt_id,
        prompt=variation.prompt if variation else None,
        choices=variation.choices if variation else (),
        seed=planned.seed,
        variation=None,
        model=plan.model,
        state="pending" if failed is None else "failed",
        reason=failed or waiting,
        words=tuple(word.slug for word in words),
        width=plan.size("width"),
        height=plan.size("height"),
        frames=plan.size("frames"),
    )
    stamp = hashlib.sha256(row.model_dump_json().encode()).hexdigest()[:16]
    data = row.model_copy(update={"stamp": stamp}).model_dump_json().encode()
    return Entry(video, manifest, None, batch, row.state, words, row.model, None, data)
