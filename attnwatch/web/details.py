"""Everything about one video, for a cell that is open."""

from typing import Any

import numpy as np

from attnwatch.batches.videos import read_video
from attnwatch.contract.documents import ReceiptDocument
from attnwatch.contract.manifest import Manifest
from attnwatch.errors import AttnwatchError
from attnwatch.library.maps import open_maps
from attnwatch.render.source import read_timeline
from attnwatch.report.found_outputs import Surveyed
from attnwatch.web.documents import (
    AttemptRecord,
    FileRecord,
    MapsRecord,
    StepRecord,
    TimelineRecord,
    VideoDetail,
    VideoRow,
)
from attnwatch.web.index.entries import Entry
from attnwatch.web.words import words_of

_SHOWN_ELSEWHERE = frozenset({"prompt", "negative_prompt", "template", "choices"})


def detail_of(entry: Entry, surveyed: Surveyed) -> VideoDetail:
    """Return everything about a video; of one that was not made, or cannot be read, what its row says.

    Args:
        entry: the video.
        surveyed: where lookups start.

    """
    row = {**dict(VideoRow.model_validate_json(entry.row)), "batch": entry.batch, "worker": entry.seen.worker}
    if entry.outputs is None:
        return VideoDetail(**row)
    receipt = surveyed.place(entry.path, entry.video_id, entry.outputs).read()
    done: dict[str, Any] = {"outputs": _outputs(receipt), "attempts": _attempts(receipt), "notes": _notes(receipt)}
    try:
        manifest = read_video(entry.path, surveyed.root)
    except (AttnwatchError, OSError):
        return VideoDetail(**row, **done)
    document = manifest.document
    return VideoDetail(
        **row,
        **done,
        tokens=words_of(manifest),
        negative_prompt=document.generation.negative_prompt,
        generation=document.generation.model_dump(mode="json", exclude=set(_SHOWN_ELSEWHERE), exclude_none=True),
        denoising=tuple(
            StepRecord(index=step.index, timestep=step.timestep, sigma=step.sigma, model=step.model)
            for step in document.denoising
        ),
        **_stored(manifest),
    )


def _outputs(receipt: ReceiptDocument | None) -> tuple[FileRecord, ...]:
    outputs = receipt.outputs if receipt is not None else ()
    return tuple(
        FileRecord(n=n, name=one.file, kind=one.kind, word=one.token, bytes=one.bytes) for n, one in enumerate(outputs)
    )


def _attempts(receipt: ReceiptDocument | None) -> tuple[AttemptRecord, ...]:
    attempts = receipt.attempts if receipt is not None else ()
    return tuple(AttemptRecord(at=attempt.at, error=attempt.error) for attempt in attempts)


def _notes(receipt: ReceiptDocument | None) -> tuple[str, ...]:
    return receipt.notes if receipt is not None else ()


def _stored(manifest: Manifest) -> dict[str, Any]:
    """Return what is stored of each word, and when which of it is shown; nothing, if that cannot be read."""
    try:
        with open_maps(manifest) as reader:
            words = {
                name: MapsRecord(
                    grid=word.grid,
                    steps=() if "steps" in word.means else word.step_numbers,
                    layers=1 if word.shape is None else word.shape[1],
                    heads=1 if word.shape is None else word.shape[2],
                    means=tuple(sorted(word.means)) if word.shape is not None else ("heads", "layers", "steps"),
                )
                for name, word in reader.words.items()
            }
        grid = next((word.grid for word in words.values()), None)
        return {"maps": words, "timeline": None if grid is None else _timeline(manifest, grid)}
    except (AttnwatchError, OSError):
        return {}


def _timeline(manifest: Manifest, grid: tuple[int, int, int]) -> TimelineRecord:
    timeline = read_timeline(manifest, grid)
    places = timeline.alignment(manifest.document).places(grid[0])
    lower = np.floor(places)
    return TimelineRecord(
        seconds=tuple(timeline.seconds.round(6).tolist()),
        lower=tuple(lower.astype(int).tolist()),
        share=tuple((places - lower).round(6).tolist()),
    )
