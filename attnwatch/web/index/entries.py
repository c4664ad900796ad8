"""One video in the index: what a grid shows of it, ready to be sent, and where its files are."""

import hashlib
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from attnwatch.analysis.named import MEASURES
from attnwatch.analysis.table import mean_of_frames
from attnwatch.batches.videos import read_video
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.measures_document import MAX_MEASURES_BYTES, MOST_MEASURES, Values
from attnwatch.contract.names import MEASURES_SUFFIX, is_manifest, printable
from attnwatch.contract.reading import read_document
from attnwatch.contract.receipts import Place, describe
from attnwatch.errors import AttnwatchError, shortened
from attnwatch.report.video_state import Rendering
from attnwatch.system.roots import Root
from attnwatch.web.documents import State, VideoRow, WordRecord
from attnwatch.web.words import words_of

PLAYED = frozenset({".mp4", ".m4v", ".mov", ".webm"})
"""Endings of videos that browsers can be expected to play."""

_LONGEST_REASON = 1_000


class Seen(NamedTuple):
    """What an entry was made from: times of its files, the state that they tell, and who is rendering it."""

    times: tuple[tuple[int, ...] | None, ...]
    state: State
    reason: str
    worker: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One video.

    Attributes:
        id: its identifier in addresses.
        path: its manifest or, of an older batch, its tensor folder; of a planned video, where its manifest will be.
        video_id: its name in its batch.
        outputs: folder of its outputs; None if it was not made.
        batch: identifier of its batch.
        state: its state.
        words: its tracked words.
        model: the model that made it.
        seen: what this was made from.
        row: a `VideoRow` as JSON.

    """

    id: str
    path: Path
    video_id: str
    outputs: Path | None
    batch: str
    state: State
    words: tuple[WordRecord, ...]
    model: str | None
    seen: Seen
    row: bytes

    @property
    def is_beside(self) -> bool:
        """Whether its outputs are where those of its manifest's folder are; those of older batches are elsewhere."""
        return is_manifest(self.path.name)

    @property
    def is_made(self) -> bool:
        """Whether the video exists."""
        return self.outputs is not None


def identity(path: Path, root: Path) -> str:
    """Return the identifier of a video or batch: a digest of its path below the root, so that no path is ever sent."""
    below = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    return hashlib.sha256(below.encode(errors="surrogateescape")).hexdigest()[:16]


def entry_of(rendering: Rendering, root: Root, batch: str, seen: Seen) -> Entry:
    """Return the entry of a finished video.

    Args:
        rendering: its state.
        root: where the lookup of its manifest starts.
        batch: identifier of its batch.
        seen: what it is made from.

    """
    place, reason = rendering.place, _reason(rendering) if seen.worker is None else _where(seen.worker)
    about: dict[str, Any] = {
        "id": identity(place.manifest, root.path),
        "video_id": place.video_id,
        "state": rendering.state,
    }
    try:
        manifest = read_video(place.manifest, root)
    except (AttnwatchError, OSError) as error:
        reason = reason or describe(error, place.manifest.parent)
        row = VideoRow(**about, **_nothing(), reason=reason)
        return made_entry(row, place.manifest, batch, seen, outputs=place.directory)
    words = tuple(WordRecord(slug=word.slug, text=word.text) for word in words_of(manifest))
    film = _written(manifest.video)
    row = VideoRow(
        **about,
        **_generation(manifest),
        reason=reason,
        words=tuple(word.slug for word in words),
        playable=film is not None and manifest.video.suffix.lower() in PLAYED,
        version=hashlib.sha256(f"{manifest.sha256}{film}".encode()).hexdigest()[:16],
        measures=measures_at(place) if rendering.state == "rendered" else None,
    )
    return made_entry(row, place.manifest, batch, seen, outputs=place.directory, words=words)


def made_entry(
    row: VideoRow,
    path: Path,
    batch: str,
    seen: Seen,
    *,
    outputs: Path | None,
    words: tuple[WordRecord, ...] = (),
) -> Entry:
    """Return an entry with its row in JSON, and with a stamp that changes with all of it."""
    stamp = hashlib.sha256(f"{seen}{row.model_dump_json()}".encode()).hexdigest()[:16]
    data = row.model_copy(update={"stamp": stamp}).model_dump_json().encode()
    model = None if row.model is None else sys.intern(row.model)
    return Entry(row.id, path, row.video_id, outputs, batch, row.state, _shared(words), model, seen, data)


@lru_cache(maxsize=1_000)
def _shared(words: tuple[WordRecord, ...]) -> tuple[WordRecord, ...]:
    """Return the same object for the same words: many videos have them."""
    return words


def _reason(rendering: Rendering) -> str | None:
    if rendering.reason is not None:
        return printable(shortened(str(rendering.reason), _LONGEST_REASON))
    attempts = rendering.receipt.attempts if rendering.receipt is not None else ()
    last = attempts[-1].error if attempts and rendering.state == "failed" else rendering.problem
    return None if last is None else printable(shortened(last, _LONGEST_REASON))


def _written(video: Path) -> tuple[int, int] | None:
    """Return size and time of the last change of a video; None if it is not there."""
    try:
        status = video.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _where(worker: str) -> str:
    """Say which worker has a video: `on 10.0.0.7:40123`."""
    return printable(shortened(f"on {worker.rpartition('://')[2]}", _LONGEST_REASON))


def _nothing() -> dict[str, Any]:
    return {"prompt_id": None, "prompt": None, "choices": (), "seed": None, "variation": None, "model": None}


def _generation(manifest: Manifest) -> dict[str, Any]:
    made = manifest.document.generation
    return {
        "prompt_id": made.prompt_id or manifest.path.parent.name,
        "prompt": made.prompt,
        "choices": made.choices or (),
        "seed": made.seed,
        "variation": made.variation,
        "model": made.model,
        "width": made.width,
        "height": made.height,
        "frames": made.frames,
        "fps": made.fps,
        "seconds": made.frames / made.fps if made.frames and made.fps else None,
    }


class _Word(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    frames: dict[str, Values] = {}
    over_time: dict[str, float | None] = {}


class _Measures(BaseModel):
    """The part of the measures that a grid is sorted by."""

    words: dict[str, _Word] = {}


def measures_at(place: Place) -> dict[str, dict[str, float | None]] | None:
    """Return the measures of the whole video by word; None if there are none, or if they cannot be read."""
    path = place.directory / f"{place.video_id}{MEASURES_SUFFIX}"
    try:
        document, _ = read_document(path, _Measures, MAX_MEASURES_BYTES, values=MOST_MEASURES, root=place.root)
    except (AttnwatchError, OSError):
        return None
    return {name: _usual(word) for name, word in document.words.items()}


def _usual(word: _Word) -> dict[str, float | None]:
    means = {measure: mean_of_frames(values) for measure, values in word.frames.items() if measure in MEASURES}
    return means | {measure: value for measure, value in word.over_time.items() if measure in MEASURES}
