"""The results of a comparison as rows of a table."""

from math import isnan

from attnwatch.analysis.comparison import Compared, Comparison
from attnwatch.analysis.table import Row, Table


def table_of(comparison: Comparison) -> Table:
    """Return a row for each result; MEASURES.md explains the columns."""
    table = Table()
    for result in comparison.results:
        table.add(_record(result, comparison))
    return table


_COLUMNS = (
    "word",
    "by",
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


def _record(result: Compared, comparison: Comparison) -> Row:
    difference, (first_mean, second_mean) = result.difference, result.means
    values = (
        comparison.word.name,
        comparison.by,
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
