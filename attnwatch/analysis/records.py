"""The results of a comparison as rows of a table."""

import csv
from io import StringIO
from math import isnan
from typing import Any

from attnwatch.analysis.comparison import Compared, Comparison


def records(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a row for each result: column -> value, None where it is unknown; MEASURES.md explains the columns."""
    return [_record(result, comparison) for result in comparison.results]


def as_csv(comparison: Comparison) -> str:
    """Return the results as the text of a CSV file."""
    text = StringIO()
    writer = csv.DictWriter(text, list(_COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records(comparison))
    return text.getvalue()


_COLUMNS = (
    "by",
    "word",
    "measure",
    "unit",
    "first",
    "second",
    "first_mean",
    "second_mean",
    "difference",
    "low",
    "high",
    "effect",
    "effect_size",
    "p",
    "p_holm",
    "comparisons",
    "paired",
    "first_n",
    "second_n",
    "more_seeds",
)


def _record(result: Compared, comparison: Comparison) -> dict[str, Any]:
    difference, (first_mean, second_mean) = result.difference, result.means
    values = (
        comparison.by,
        comparison.word.name,
        result.measure.name,
        result.measure.unit,
        result.first,
        result.second,
        first_mean,
        second_mean,
        *map(_known, (difference.mean, difference.low, difference.high, difference.effect)),
        "d" if result.is_paired else "g",
        _known(difference.p),
        _known(result.corrected),
        comparison.tests,
        result.is_paired,
        *difference.counts,
        result.more_seeds(comparison.tests),
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _known(value: float) -> float | None:
    return None if isnan(value) else value
