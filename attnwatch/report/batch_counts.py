"""Counts the videos of each batch, and of each of its prompts, by state."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from attnwatch.batches.targets import batch_of
from attnwatch.contract.batch_documents import BatchCompleteDocument
from attnwatch.contract.names import BATCH_COMPLETE_FILE, BATCH_FILE, is_manifest, printable
from attnwatch.contract.reading import read_document
from attnwatch.contract.status_document import BatchRecord, PromptRecord, VideoCounts
from attnwatch.errors import ManifestError
from attnwatch.report.video_state import Rendering, State
from attnwatch.system.roots import Root

STATES = ("rendered", "skipped", "running", "waiting", "failed")


class _Planned(BaseModel):
    prompt_id: str


class _Plan(BaseModel):
    """The part of `batch.json` that says how many videos there will be."""

    videos: tuple[_Planned, ...] = ()


@dataclass
class _Batch:
    prompts: dict[str, Counter[str]] = field(default_factory=dict)
    folders: set[Path] = field(default_factory=set)


class BatchCounts:
    """Counts renderings by batch."""

    def __init__(self) -> None:
        self._batches: dict[Path, _Batch] = {}
        self._batch_of = cache(lambda folder, name: batch_of(folder / name))

    def take(self, rendering: Rendering, state: State) -> None:
        """Count a rendering beside its video."""
        manifest = rendering.place.manifest
        folder = manifest.parent if is_manifest(manifest.name) else rendering.place.directory.parent
        batch = self._batches.setdefault(self._batch_of(manifest.parent, "_"), _Batch())
        batch.prompts.setdefault(folder.name, Counter())[state] += 1
        batch.folders.add(manifest.parent)

    def expect(self, batches: Iterable[Path]) -> None:
        """Include batches that may have no finished video yet."""
        for batch in batches:
            self._batches.setdefault(batch, _Batch())

    def records(self) -> tuple[BatchRecord, ...]:
        """Return the counts of all batches, by path."""
        return tuple(_record(path, self._batches[path]) for path in sorted(self._batches))


def counts(states: Counter[str]) -> VideoCounts:
    """Return the number of videos in each state."""
    return VideoCounts(finished=states.total(), **{name: states[name] for name in STATES})


def _record(path: Path, batch: _Batch) -> BatchRecord:
    planned = _planned(path)
    names = sorted(batch.prompts.keys() | planned.keys())
    prompts = (
        PromptRecord(name=printable(name), planned=planned.get(name), videos=counts(batch.prompts.get(name, Counter())))
        for name in names
    )
    return BatchRecord(
        name=printable(path.name),
        path=printable(str(path)),
        planned=planned.total() or None,
        ended=_ended(path),
        changed=_changed(path, batch),
        videos=counts(sum(batch.prompts.values(), Counter[str]())),
        prompts=tuple(prompts),
    )


def _planned(path: Path) -> Counter[str]:
    try:
        plan, _ = read_document(path / BATCH_FILE, _Plan, root=Root(path))
    except (ManifestError, OSError):
        return Counter()
    return Counter(video.prompt_id for video in plan.videos)


def _ended(path: Path) -> Literal["complete", "interrupted"] | None:
    try:
        return read_document(path / BATCH_COMPLETE_FILE, BatchCompleteDocument, root=Root(path))[0].status
    except (ManifestError, OSError):
        return None


def _changed(path: Path, batch: _Batch) -> str | None:
    """Return when a file was last added to the batch, or to a folder of its videos."""
    times = []
    for file in (path, *batch.folders):
        try:
            times.append(datetime.fromtimestamp(file.stat().st_mtime, UTC))
        except (OSError, ValueError, OverflowError):
            continue
    return max(times).isoformat(timespec="seconds") if times else None
