"""How a measure of each choice goes over the frames of the videos, or over the denoising steps."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from attnwatch.analysis.contrasts import Contrast
from attnwatch.analysis.named import USUAL, Measure, measure_named
from attnwatch.analysis.spatial import Float64Array
from attnwatch.analysis.statistics import mean_interval
from attnwatch.analysis.table import Level, Row
from attnwatch.analysis.tracked import Word, rows_about
from attnwatch.errors import ConfigError

Over: TypeAlias = Literal["time", "steps"]
"""What a measure is followed over."""

LEVELS: Mapping[Over, Level] = {"time": "frame", "steps": "step"}
"""What a row of the table is."""

_NUMBERS: Mapping[Over, str] = {"time": "frame", "steps": "step"}
_PLACES: Mapping[Over, str] = {"time": "seconds", "steps": "step"}


@dataclass(frozen=True)
class Course:
    """A measure of one choice, at each place: the mean over seeds, and its 95 % interval (NaN with fewer than 3).

    Attributes:
        places: times in seconds, or numbers of steps.
        mean: `[place]`.
        low: `[place]`.
        high: `[place]`.

    """

    places: Float64Array
    mean: Float64Array
    low: Float64Array
    high: Float64Array


@dataclass(frozen=True)
class Courses:
    """The courses of some measures.

    Attributes:
        over: what they are followed over.
        word: the word.
        levels: the choices, in the order in which they were found.
        measures: the measures that have values at each place.
        of: measure -> choice -> course.
        notes: which measures have none.

    """

    over: Over
    word: Word
    levels: tuple[str, ...]
    measures: tuple[Measure, ...]
    of: Mapping[str, Mapping[str, Course]]
    notes: tuple[str, ...]


def courses(
    rows: Sequence[Row], by: str | int, over: Over, *, word: str | None = None, measures: Iterable[str] = USUAL
) -> Courses:
    """Follow measures of each choice. As in a comparison, each seed counts once at each place.

    Args:
        rows: a row for each word of each video and each frame, or each denoising step.
        by: number of the slot of the template from 1, `model`, `image` or `batch`.
        over: what the rows are.
        word: as for `compare`.
        measures: names of the measures; those without a value at single places are left out.

    Raises:
        ConfigError: no measure is left; or as for `compare`.
        UnknownNameError: as for `compare`.

    """
    asked = list(dict.fromkeys(measures))
    kept = [name for name in asked if any(row.get(name) is not None for row in rows)]
    if not kept:
        raise ConfigError(f"found no value of {', '.join(asked)} over {over}; expected measures of a map, such as mass")
    at: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        at[row[_NUMBERS[over]]].append(row)
    of_videos, chosen = rows_about(rows, word)
    levels = Contrast(of_videos, str(by)).levels
    points: dict[str, dict[str, list[tuple[float, ...]]]] = {name: defaultdict(list) for name in kept}
    for _, some in sorted(at.items()):
        about, _ = rows_about(some, chosen.name)
        contrast = Contrast(about, str(by), fewest=1)  # videos of one choice may be longer than those of another
        where = float(np.mean([row[_PLACES[over]] for row in about]))
        for name in kept:
            for level in contrast.levels:
                values = contrast.values(level, name)[1]
                if len(values):
                    points[name][level].append((where, float(values.mean()), *mean_interval(values)))
    return Courses(
        over,
        chosen,
        levels,
        tuple(map(measure_named, kept)),
        {name: {level: Course(*np.array(found).T) for level, found in some.items()} for name, some in points.items()},
        tuple(f"{measure_named(name).label}: has no values over {over}" for name in asked if name not in kept),
    )
