"""One tidy table of many videos: a row for each word of each video, or for each of its frames, steps or heads."""

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, Literal, TypeAlias, get_args

from attnwatch.contract.manifest import Manifest
from attnwatch.contract.measures_document import MeasuresDocument, PairMeasures, Values
from attnwatch.contract.names import UNCONDITIONAL_PREFIX, slug

Level: TypeAlias = Literal["video", "frame", "step", "head"]
"""What a row is, beside a word of a video: all of it, a latent frame, a denoising step, or a head of a layer."""

LEVELS: tuple[Level, ...] = get_args(Level)

Row: TypeAlias = dict[str, Any]

CHOICE = "choice_"
"""Begins the columns of the template's slots: `choice_1` is what stands in the first one."""

_DIGITS = 9
_STATED = ("prompt_id", "variation", "seed", "model", "template", "prompt", "negative_prompt")
_IMAGES = ("image", "last_image")
_SETTINGS = ("width", "height", "frames", "fps", "steps", "guidance_scale", "scheduler")
_NOT_STORED: Mapping[Level, str] = {
    "step": "found only the mean of all denoising steps; expected each step; generate with store_attention",
    "head": "found only the mean of all layers and heads; expected each; generate with --store-per-block or "
    "--store-per-head",
}


class Table:
    """Rows by column, so that many take little memory. Columns that only some rows have are None in the others.

    Attributes:
        length: number of rows.

    """

    def __init__(self) -> None:
        self.length = 0
        self._columns: dict[str, list[Any]] = {}

    def add(self, row: Row) -> None:
        """Add a row."""
        for name in row:
            if name not in self._columns:
                self._columns[name] = [None] * self.length
        for name, values in self._columns.items():
            values.append(row.get(name))
        self.length += 1

    @property
    def columns(self) -> dict[str, list[Any]]:
        """The values by column: what the video is, its choices, settings and word, then its measures."""
        return dict(sorted(self._columns.items(), key=lambda column: _place(column[0])))

    def rows(self) -> Iterator[Row]:
        """Yield the rows, each with all columns."""
        columns = self.columns
        for values in zip(*columns.values(), strict=True):
            yield dict(zip(columns, values, strict=True))


def rows_of(
    document: MeasuresDocument, manifest: Manifest, batch: str, level: Level, words: frozenset[str] | None = None
) -> list[Row]:
    """Return the rows of one video.

    Args:
        document: its measures.
        manifest: its manifest.
        batch: name of its batch.
        level: what a row is.
        words: slugs of the words; None for all.

    """
    about, slots = _about(manifest, batch), _slots(manifest)
    return [
        {**about, "word": name, "text": word.text, "slot": slots.get(name), **measures}
        for name, word in document.words.items()
        if words is None or name in words
        for measures in _MEASURES[level](document, manifest, name)
    ]


def lacking(document: MeasuresDocument, level: Level, words: frozenset[str] | None = None) -> str | None:
    """Return why a video has no row at a level: what was not stored; None if it has some, or no such word."""
    chosen = [word for name, word in document.words.items() if words is None or name in words]
    missing = [level in _NOT_STORED and (word.steps if level == "step" else word.focus) is None for word in chosen]
    return _NOT_STORED[level] if missing and all(missing) else None


def _about(manifest: Manifest, batch: str) -> Row:
    generation = manifest.document.generation
    choices = enumerate(generation.choices or (), start=1)
    return {
        "batch": batch,
        "video_id": manifest.video_id,
        **{name: getattr(generation, name) for name in _STATED},
        **{f"{CHOICE}{number}": text for number, text in choices},
        **{name: image.name for name in _IMAGES if (image := getattr(generation, name)) is not None},
        **{name: getattr(generation, name) for name in _SETTINGS},
    }


def _slots(manifest: Manifest) -> dict[str, int | None]:
    """Return the number of the slot that each word stands in, by slug."""
    tokens, negative = manifest.document.tokens, manifest.document.negative_tokens
    return {
        **{slug(f"{UNCONDITIONAL_PREFIX}{token.slug}"): token.slot for token in negative},
        **{slug(token.slug): token.slot for token in tokens},
    }


def _of_video(document: MeasuresDocument, _: Manifest, name: str) -> Iterator[Row]:
    word = document.words[name]
    yield {
        **{measure: mean_of_frames(values) for measure, values in word.frames.items()},
        **word.over_time,
        "peak_frame": None if (frame := word.over_time.get("peak_frame")) is None else int(frame),
        "settled": None if word.steps is None else word.steps.settled,
        **{column: mean_of_frames(values) for column, values in _with_others(document.pairs, name).items()},
    }


def _of_frames(document: MeasuresDocument, _: Manifest, name: str) -> Iterator[Row]:
    word = document.words[name]
    columns = {"seconds": document.seconds, **word.frames, **_with_others(document.pairs, name)}
    for frame, values in enumerate(zip_longest(*columns.values())):
        yield {"frame": frame, **dict(zip(columns, values, strict=True))}


def _of_steps(document: MeasuresDocument, manifest: Manifest, name: str) -> Iterator[Row]:
    steps = document.words[name].steps
    if steps is None:
        return
    listed = manifest.document.denoising
    stated = listed if len(listed) == len(steps.numbers) else (None,) * len(steps.numbers)
    for position, (number, step, correlation) in enumerate(zip(steps.numbers, stated, steps.correlation, strict=True)):
        yield {
            "step": number,
            "timestep": None if step is None else step.timestep,
            "sigma": None if step is None else step.sigma,
            "transformer": None if step is None else step.model,
            **{measure: mean_of_frames(values[position]) for measure, values in steps.frames.items()},
            "correlation": correlation,
        }


def _of_heads(document: MeasuresDocument, _: Manifest, name: str) -> Iterator[Row]:
    word = document.words[name]
    for layer, heads in enumerate(word.focus or ()):
        for head, focus in enumerate(heads):
            yield {
                "layer": None if word.layers is None else layer,
                "head": None if word.heads is None else head,
                "focus": focus,
                **{measure: values[layer][head] for measure, values in (word.each_head or {}).items()},
            }


_MEASURES: Mapping[Level, Callable[[MeasuresDocument, Manifest, str], Iterator[Row]]] = {
    "video": _of_video,
    "frame": _of_frames,
    "step": _of_steps,
    "head": _of_heads,
}


def _with_others(pairs: tuple[PairMeasures, ...], name: str) -> dict[str, Values]:
    """Return how a word shares the picture with each other one, by column."""
    columns: dict[str, Values] = {}
    for pair in pairs:
        if name in pair.words:
            (other,) = set(pair.words) - {name}
            columns |= {f"cosine_{other}": pair.cosine_similarity, f"overlap_{other}": pair.overlap}
    return columns


def mean_of_frames(values: Values) -> float | None:
    """Return the mean of the frames where a measure is defined; None if there are none, or if it is too large."""
    defined = [value for value in values if value is not None]
    mean = sum(defined) / len(defined) if defined else math.nan
    return float(f"{mean:.{_DIGITS}g}") if math.isfinite(mean) else None


_WORD = ("word", "text", "slot", "frame", "seconds", "step", "timestep", "sigma", "transformer", "layer", "head")
_ORDER = ("batch", "video_id", *_STATED, CHOICE, *_IMAGES, *_SETTINGS, *_WORD)


def _place(column: str) -> tuple[int, int]:
    """Return where a column stands; measures come last, in the order in which they were added."""
    number = column.removeprefix(CHOICE)
    if number != column and number.isdigit():
        return _ORDER.index(CHOICE), int(number)
    return (_ORDER.index(column) if column in _ORDER else len(_ORDER)), 0
