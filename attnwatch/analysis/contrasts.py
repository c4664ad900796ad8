"""Which videos of a table of measures are compared with which: those of the same seed that differ in one choice.

Rows are as in the table of `attnwatch measure`: one for each word of each video, column -> value, None where that is
unknown.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isnan
from typing import Any

import numpy as np

from attnwatch.analysis.spatial import Float64Array
from attnwatch.analysis.table import CHOICE, Row
from attnwatch.errors import ConfigError

_Key = tuple[Any, ...]
"""The seed of a video, and what else must be equal in its counterpart."""

_WHOLE = {"model": "models", "image": "images", "batch": "batches"}
"""What videos may differ in beside a choice, and several of it."""

_PAIR = 2
_MOST_LISTED = 10


@dataclass(frozen=True)
class Pairs:
    """The values of two choices that are compared.

    Attributes:
        first: a value for each seed of the first choice.
        second: the same of the second one; if paired, in the same order.
        seeds: the seeds of the pairs, in order; None if the values are not paired.
        across: whether the two videos of a pair differ in more than the choice, such as their batch.
        alone: number of videos that have no counterpart; 0 if the values are not paired.
        per_seed: number of pairs of videos of a seed, at most; of videos of a choice, if they are not paired.

    """

    first: Float64Array
    second: Float64Array
    seeds: tuple[int, ...] | None
    across: bool = False
    alone: int = 0
    per_seed: int = 1


class Contrast:
    """The videos of each choice in one slot of the template, or of each model, input image or batch.

    Args:
        rows: a row for each video, about one word.
        by: number of the slot from 1, `model`, `image` or `batch`.
        fewest: how many choices there must be.

    Attributes:
        levels: the choices in the order in which they are found.
        left_out: why rows cannot be compared -> number of videos.

    Raises:
        ConfigError: there is no such slot, or there are not two choices to compare.

    """

    def __init__(self, rows: Iterable[Row], by: str, *, fewest: int = _PAIR) -> None:
        rows = list(rows)
        self.column = column_of(by, rows)
        self._rows: dict[str, list[Row]] = defaultdict(list)
        self.left_out: Counter[str] = Counter()
        for row in rows:
            level, seed = row.get(self.column), row.get("seed")
            if level is None:
                self.left_out[f"without {_one(by)}"] += 1
            elif seed is None:
                self.left_out["without a seed"] += 1
            else:
                self._rows[str(level)].append(row)
        self.levels = tuple(self._rows)
        if len(self.levels) < fewest:
            raise ConfigError(self._too_few(by))

    def pairs_of_levels(self) -> list[tuple[str, str]]:
        """Return every two choices, the one that was found first coming first."""
        return list(combinations(self.levels, 2))

    def pairs(self, first: str, second: str, measure: str) -> Pairs:
        """Return the values of a measure for two choices.

        Two videos are a pair if they have the same seed and differ in nothing but the choice. Videos of one seed are
        not independent of each other, so each seed has one value: the mean over everything else that varies. Without
        any pair, each choice has the values of its own seeds.
        """
        strictest, *_ = ways = self._ways()
        for way in ways:
            a, b = (self._by_key(level, way, measure) for level in (first, second))
            shared = [key for key in a if key in b]
            if shared:
                (seeds, one), (_, other) = (_by_seed({key: values[key] for key in shared}) for values in (a, b))
                alone = sum(len(values) for key, values in (*a.items(), *b.items()) if key not in a or key not in b)
                return Pairs(one, other, seeds, across=way != strictest, alone=alone, per_seed=_most_of_a_seed(shared))
        a, b = (self._by_key(level, strictest, measure) for level in (first, second))
        return Pairs(_by_seed(a)[1], _by_seed(b)[1], None, per_seed=max(map(_most_of_a_seed, (a, b))))

    def values(self, level: str, measure: str) -> tuple[tuple[int, ...], Float64Array]:
        """Return the seeds of a choice, and the mean of a measure for each of them.

        If some videos have a counterpart for every other choice, only these count.
        """
        way = self._ways()[0]
        every = [self._by_key(other, way, measure) for other in self.levels]
        own = every[self.levels.index(level)]
        complete = {key: values for key, values in own.items() if all(key in other for other in every)}
        return _by_seed(complete or own)

    def undefined(self, measure: str) -> int:
        """Return the number of videos without a value of a measure."""
        return sum(_value(row, measure) is None for rows in self._rows.values() for row in rows)

    def _ways(self) -> tuple[tuple[str, ...], ...]:
        """Return what must be equal in two videos of a pair, besides the seed: the strictest way first."""
        columns = {name for rows in self._rows.values() for row in rows for name in row}
        others = tuple(sorted(filter(_is_choice, columns)))
        if self.column == "image":  # the choices may have it, too
            return ("batch", "template", "model", "prompt"), ("model", "prompt")
        if self.column in _WHOLE:
            return ("prompt", "image"), ("prompt",), others
        others = tuple(name for name in others if name != self.column)
        return ("batch", "template", "model", "image", *others), ("model", *others)

    def _by_key(self, level: str, way: Sequence[str], measure: str) -> dict[_Key, list[float]]:
        """Return the values of a choice by seed and by what must be equal."""
        found: dict[_Key, list[float]] = defaultdict(list)
        for row in self._rows[level]:
            value = _value(row, measure)
            if value is not None:
                found[int(row["seed"]), *(row.get(name) for name in way)].append(value)
        return found

    def _too_few(self, by: str) -> str:
        what = f"choices in bracket {by}" if by.isdecimal() else _WHOLE[by]
        only = f"only {self.levels[0]!r}" if self.levels else f"none in {sum(self.left_out.values())} videos"
        why = "; ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        return f"by: found {only}; expected at least two {what}{f' ({why})' if why else ''}"


def column_of(by: str, rows: Sequence[Row]) -> str:
    """Return the column that has what is compared.

    Raises:
        ConfigError: it is neither `model`, `image` nor `batch` nor a slot of the template.

    """
    if by in _WHOLE:
        return by
    slots = _slots(rows)
    if by.isdecimal() and f"{CHOICE}{int(by)}" in slots:
        return f"{CHOICE}{int(by)}"
    known = [f"{name.removeprefix(CHOICE)} ({_listed(choices)})" for name, choices in sorted(slots.items())]
    *others, last = (name for name in _WHOLE if name != "image" or any(row.get(name) is not None for row in rows))
    raise ConfigError(
        f"by: found {by!r}; expected {', '.join([*known, *others])} or {last}"
        f"{'' if known else '; no video says what was chosen in the brackets of its template'}"
    )


def _one(by: str) -> str:
    return "a choice for this bracket" if by.isdecimal() else f"{'an' if by == 'image' else 'a'} {by}"


def _slots(rows: Iterable[Row]) -> dict[str, dict[str, None]]:
    """Return the choices in each slot, in order."""
    slots: dict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        for name, value in row.items():
            if _is_choice(name) and value is not None:
                slots[name][str(value)] = None
    return slots


def _listed(choices: Iterable[str]) -> str:
    found = [choice or "nothing" for choice in choices]
    return ", ".join(found[:_MOST_LISTED]) + (", ..." if len(found) > _MOST_LISTED else "")


def _is_choice(name: str) -> bool:
    return name.startswith(CHOICE) and name.removeprefix(CHOICE).isdecimal()


def _value(row: Row, measure: str) -> float | None:
    value: Any = row.get(measure)
    return None if value is None or isnan(value) else float(value)


def _most_of_a_seed(keys: Iterable[_Key]) -> int:
    return max(Counter(seed for seed, *_ in keys).values(), default=0)


def _by_seed(values: Mapping[_Key, Sequence[float]]) -> tuple[tuple[int, ...], Float64Array]:
    """Return the seeds in order, and for each the mean over its keys of the mean of each key's values."""
    means: dict[int, list[float]] = defaultdict(list)
    for (seed, *_), some in values.items():
        means[seed].append(float(np.mean(some)))
    seeds = tuple(sorted(means))
    return seeds, np.array([np.mean(means[seed]) for seed in seeds])
