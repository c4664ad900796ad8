"""Tables of measures as matrices: the focus of layers and heads, and how much words overlap."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attnwatch.analysis.spatial import Float64Array
from attnwatch.analysis.table import Level, Row
from attnwatch.analysis.tracked import video_of
from attnwatch.errors import ConfigError

OVERLAP = "overlap_"
"""Begins the columns with the overlap of a word with another one."""


@dataclass(frozen=True)
class Matrix:
    """A measure for each row and column, as a mean over videos.

    Attributes:
        title: what it is about.
        rows: names of the rows, from the top.
        columns: names of the columns.
        values: `[row, column]`; NaN where there is no value.

    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: Float64Array


@dataclass(frozen=True)
class Matrices:
    """Several matrices of one measure.

    Attributes:
        title: what all are about.
        measure: what the values are.
        rows: what a row is; empty if its name says it.
        columns: what a column is.
        each: the matrices.
        key: what the values mean.

    """

    title: str
    measure: str
    rows: str
    columns: str
    each: tuple[Matrix, ...]
    key: str


def matrices(rows: Sequence[Row], level: Level) -> Matrices:
    """Return what a table shows as matrices: at level `head` the focus, at level `video` the overlap of words.

    Raises:
        ConfigError: the table is of another level, or there are not two words.

    """
    if level == "head":
        return _focus(rows)
    if level == "video":
        return _overlap(rows)
    raise ConfigError(f"figure: found level {level}; expected video or head; `attnwatch compare --over` draws others")


def _focus(rows: Sequence[Row]) -> Matrices:
    """Return a matrix of layers and heads for each word; an axis of which only the mean is stored has one row."""
    of_words: dict[str, dict[tuple[Any, Any], list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["focus"] is not None:
            of_words[row.get("text") or row["word"]][row["layer"], row["head"]].append(row["focus"])
    videos = len({video_of(row) for row in rows})
    return Matrices(
        title="Focus of layers and heads",
        measure="focus",
        rows="layer",
        columns="head",
        each=tuple(_matrix(f"'{word}'", values) for word, values in of_words.items()),
        key="Focus: mean concentration of the maps of a head, from 0 (the same everywhere) to 1 (in one cell). "
        f"{_over(videos)}",
    )


def _overlap(rows: Sequence[Row]) -> Matrices:
    """Return the matrix of words and words."""
    texts = {row["word"]: row.get("text") or row["word"] for row in rows}
    found: dict[tuple[Any, Any], list[float]] = defaultdict(list)
    for row in rows:
        for other in texts:
            value = row.get(f"{OVERLAP}{other}")
            if value is not None:
                found[row["word"], other].append(value)
    if not found:
        raise ConfigError("figure: found no two words in a video; expected several tracked ones; or add --level head")
    names = _named(texts)
    values = np.array([[np.mean(found[a, b]) if (a, b) in found else np.nan for b in texts] for a in texts])
    videos = len({video_of(row) for row in rows})
    return Matrices(
        title="Overlap of words",
        measure="overlap",
        rows="",
        columns="",
        each=(Matrix("", names, names, values),),
        key="Overlap: intersection over union of the tenths of the picture with the most attention, mean over frames. "
        f"{_over(videos)}",
    )


def _named(texts: Mapping[str, str]) -> tuple[str, ...]:
    """Return the texts of words, or the slugs of those that have the same text."""
    several = [text for text in texts.values() if list(texts.values()).count(text) > 1]
    return tuple(word if text in several else text for word, text in texts.items())


def _matrix(title: str, found: Mapping[tuple[Any, Any], Sequence[float]]) -> Matrix:
    rows, columns = _places(place for place, _ in found), _places(place for _, place in found)
    values = [[np.mean(found[row, column]) if (row, column) in found else np.nan for column in columns] for row in rows]
    return Matrix(title, _labels(rows), _labels(columns), np.array(values))


def _places(found: Iterable[Any]) -> list[Any]:
    return sorted(set(found), key=lambda place: -1 if place is None else place)


def _labels(places: Iterable[Any]) -> tuple[str, ...]:
    return tuple("mean" if place is None else str(place) for place in places)


def _over(videos: int) -> str:
    return f"Mean over {videos} videos." if videos > 1 else "One video."
