"""Measures a finished video, and puts the measures into their document."""

import os
from collections.abc import Collection, Iterator, Mapping
from itertools import compress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from attnwatch.analysis.spatial import Float64Array, Spatial
from attnwatch.analysis.table import Level
from attnwatch.analysis.video import OfSteps, VideoMeasures, measure_video
from attnwatch.analysis.video import WordMeasures as Measured
from attnwatch.batches.targets import batch_of
from attnwatch.batches.videos import open_attention
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.measures_document import (
    MAX_MEASURES_BYTES,
    MOST_MEASURES,
    MeasuresDocument,
    PairMeasures,
    StepMeasures,
    Values,
    WordMeasures,
)
from attnwatch.contract.names import MEASURES_SUFFIX, OUTPUT_DIRECTORY
from attnwatch.contract.reading import most_values_in, read_document
from attnwatch.contract.receipts import Place, describe
from attnwatch.errors import AttnwatchError
from attnwatch.render.source import read_timeline
from attnwatch.render.timeline import Timeline
from attnwatch.settings import Visualization
from attnwatch.system.folders import Folder
from attnwatch.system.roots import Root
from attnwatch.tensors.reader import WordMaps

_DIGITS = 9  # significant; single precision has 7
_MOST_PLACES = 300
_POWERS = np.array([float(f"1e{place}") for place in range(-_MOST_PLACES, _MOST_PLACES + 1)])  # exact up to 1e22
_MOST_WORDS_IN_PAIRS = 64  # 2,016 pairs; 1,000 words would have 500,000, for which a rendering would wait 10 minutes
_FOCUS = "concentration"  # of heads, it has a name of its own
_MOST_VALUES = 500_000_000  # of single layers and heads that are measured beside a rendering: about 10 s
_MOST_VALUES_TO_SETTLE = 100_000_000  # that are read for `settled` alone: 0.2 GB, which single heads exceed, not layers


def write_measures(
    manifest: Manifest, settings: Visualization, folder: Folder, timeline: Timeline | None = None
) -> tuple[str | None, tuple[str, ...]]:
    """Measure a video that is being rendered, and write its measures into a folder.

    Pictures never fail because of their measures: what cannot be measured is a note.

    Args:
        manifest: manifest of the video.
        settings: the effective settings.
        folder: where the file is written.
        timeline: when the frames of the video are shown; None to read it.

    Returns:
        The name of the file, None if there is none; and notes for the receipt.

    """
    if not settings.measures:
        return None, ()
    try:
        document = measures_of(manifest, timeline, masked=settings.nonfinite == "mask", limited=True)
    except (AttnwatchError, MemoryError) as error:
        return None, (f"no measures: {describe(error)}",)
    if not document.words:
        return None, ()
    name = f"{manifest.video_id}{MEASURES_SUFFIX}"
    data = document.model_dump_json().encode() + b"\n"
    if (values := most_values_in(data)) > MOST_MEASURES or len(data) > MAX_MEASURES_BYTES:
        return None, (
            f"no measures: {values:,} values are too many for a file; `attnwatch measure` makes tables of them",
        )
    folder.write(name, data, durable=False)
    return name, document.notes


def read_measures(place: Place, manifest: Manifest) -> MeasuresDocument | None:
    """Return the measures that were written with the last rendering; None if there are none, or not of these files."""
    path = place.directory / f"{place.video_id}{MEASURES_SUFFIX}"
    try:
        found, _ = read_document(
            path,
            MeasuresDocument,
            MAX_MEASURES_BYTES,
            values=MOST_MEASURES,
            root=place.root or Root(path.parent.parent),
        )
    except (AttnwatchError, OSError):
        return None
    inputs = manifest.inputs()  # those that were removed since do not count
    same_files = inputs.keys() == found.inputs.keys() and all(
        size in (None, found.inputs[name]) for name, size in inputs.items()
    )
    return found if same_files and found.manifest_sha256 == manifest.sha256 else None


def measures_at(
    manifest: Manifest, *levels: Level, masked: bool = False, rendered_in: Path | None = None
) -> MeasuresDocument:
    """Return the measures of a video for tables: those written with its last rendering, if they are of these files.

    Otherwise the video is measured once, as far as the tables need.

    Args:
        manifest: manifest of the video.
        levels: what a row of each table is.
        masked: take values that are NaN or infinite for 0.
        rendered_in: folder of outputs, if the video was rendered with `--out`.

    Raises:
        TensorError, VideoError, OSError: as for `measures_of`.

    """
    for place in _places(manifest, rendered_in):
        found = read_measures(place, manifest)
        if found is not None:
            if _suffices(found, manifest, levels):
                return found
            break
    return measures_of(manifest, masked=masked, levels=levels)


def _places(manifest: Manifest, rendered_in: Path | None) -> Iterator[Place]:
    """Yield where the outputs of a video may be: beside it, in the collection of its batch, or in a folder like these.

    Which folder the watcher was started for is not known: the outputs may have any of the paths that lead from one
    above the video to those beside it. What is found counts only if it is of this manifest.
    """
    collection = batch_of(manifest.path) / OUTPUT_DIRECTORY
    beside = {manifest.output_directory: manifest.outputs_root, collection: None}
    for directory, root in beside.items():
        yield Place(manifest.path, manifest.video_id, directory, root=root)
    if rendered_in is not None:
        for directory in beside:
            for above in directory.parents:
                counterpart = rendered_in / directory.relative_to(above)
                yield Place(manifest.path, manifest.video_id, counterpart, root=Root(rendered_in))


def _suffices(found: MeasuresDocument, manifest: Manifest, levels: Collection[Level]) -> bool:
    """Return whether tables can be made of measures that were written by a rendering, perhaps by an older version."""
    if "head" not in levels:
        return True
    is_older = any(word.focus is not None and word.each_head is None for word in found.words.values())
    can_be_measured = all(os.path.exists(path) for path in manifest.attention)  # noqa: PTH110 - may raise
    return not found.notes and not (is_older and can_be_measured)


def measures_of(
    manifest: Manifest,
    timeline: Timeline | None = None,
    *,
    masked: bool = False,
    limited: bool = False,
    levels: Collection[Level] | None = None,
) -> MeasuresDocument:
    """Measure the tracked words of a video.

    Args:
        manifest: manifest of the finished video.
        timeline: when its frames are shown; None to read it.
        masked: take values that are NaN or infinite for 0.
        limited: leave out layers and heads if there are so many that a rendering would have to wait for them.
        levels: measure only what tables of these levels have; None for everything.

    Raises:
        TensorError: a tensor file breaks the contract, or has values that are not finite and not masked.
        VideoError: the video cannot be read.
        OSError: a file cannot be read.

    """
    with open_attention(manifest) as reader:
        is_timed = levels is None or not {"video", "frame"}.isdisjoint(levels)
        seconds = _latent_seconds(manifest, reader.words, timeline) if is_timed else None
        values = sum(prod(word.shape) for word in reader.words.values() if word.shape is not None)
        too_many = limited and values > _MOST_VALUES
        words, pairs = len(reader.words), len(reader.words) <= _MOST_WORDS_IN_PAIRS
        measures = measure_video(
            reader.words,
            seconds,
            masked=masked,
            steps=_of_steps(levels, values),
            parts=(levels is None or "head" in levels) and not too_many,
            pairs=pairs,
        )
    notes = (
        f"layers and heads have {values:,} values, too many to measure while rendering; `attnwatch measure` does it",
        f"{words:,} words have too many pairs, so these are not measured",
    )
    return _document(manifest, measures, seconds, tuple(compress(notes, (too_many, not pairs))))


def _of_steps(levels: Collection[Level] | None, values: int) -> OfSteps | None:
    """Return what to compute of the steps, which have so many values, for tables of some levels; None for all."""
    if levels is None or "step" in levels:
        return "measures"
    return "settled" if "video" in levels and values <= _MOST_VALUES_TO_SETTLE else None


def _latent_seconds(manifest: Manifest, words: Mapping[str, WordMaps], timeline: Timeline | None) -> Float64Array:
    """Return the time of each latent frame of a video, `[frame]`; empty if it has no words."""
    if not words:
        return np.zeros(0)
    grid = next(iter(words.values())).grid
    timeline = timeline or read_timeline(manifest, grid)
    return timeline.alignment(manifest.document).latent_seconds(grid[0], timeline.seconds)


def _document(
    manifest: Manifest, measures: VideoMeasures, seconds: Float64Array | None, notes: tuple[str, ...]
) -> MeasuresDocument:
    texts = manifest.document.texts
    return MeasuresDocument(
        video_id=manifest.video_id,
        manifest_sha256=manifest.sha256,
        inputs=manifest.inputs(),
        seconds=() if seconds is None else _values(seconds),
        words={slug: _word(word, texts.get(slug)) for slug, word in measures.words.items()},
        pairs=tuple(
            PairMeasures(words=words, cosine_similarity=_values(pair.cosine_similarity), overlap=_values(pair.overlap))
            for words, pair in measures.pairs.items()
        ),
        notes=notes,
    )


def _word(word: Measured, text: str | None) -> WordMeasures:
    steps, parts = word.steps, word.parts
    over_time = vars(word.over_time)
    return WordMeasures(
        text=text,
        grid=word.grid,
        frames={name: _values(values) for name, values in word.frames.columns().items()},
        over_time=dict(zip(over_time, _values(np.array(list(over_time.values()))), strict=True)),
        steps=None
        if steps is None
        else StepMeasures(
            numbers=steps.numbers,
            correlation=_values(np.array(steps.correlation)),
            settled=steps.settled,
            frames={} if steps.frames is None else _columns(steps.frames),
        ),
        layers=None if parts is None or parts.layers is None else _columns(parts.layers),
        heads=None if parts is None or parts.heads is None else _columns(parts.heads),
        focus=None if parts is None else _rows(parts.each[_FOCUS]),
        each_head=None
        if parts is None
        else {name: _rows(values) for name, values in parts.each.items() if name != _FOCUS},
    )


def _columns(measures: Spatial) -> dict[str, tuple[Values, ...]]:
    return {name: _rows(values) for name, values in measures.columns().items()}


def _rows(values: Float64Array) -> tuple[Values, ...]:
    return tuple(map(tuple, _rounded(values)))


def _values(values: Float64Array) -> Values:
    return tuple(_rounded(values))


def _rounded(values: Float64Array) -> list[Any]:
    """Return numbers of nine significant digits, which take half the space; None for NaN."""
    with np.errstate(divide="ignore"):
        exponents = np.floor(np.log10(np.abs(values)))
    places = _DIGITS - 1 - np.where(np.isfinite(exponents), exponents, 0).astype(int)
    scales = _POWERS[np.clip(places, -_MOST_PLACES, _MOST_PLACES) + _MOST_PLACES]
    rounded = np.rint(values * scales) / scales
    there = np.isfinite(rounded)
    listed: list[Any] = (rounded if there.all() else np.asarray(np.where(there, rounded, None))).tolist()
    return listed
