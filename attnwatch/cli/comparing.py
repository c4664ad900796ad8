"""Shows the results of a comparison: tables, what was left out, and a sentence for each finding."""

import sys
from collections.abc import Iterator
from itertools import groupby
from math import isnan

from rich.console import Console
from rich.table import Table
from rich.text import Text

from attnwatch.analysis.comparison import Compared, Comparison
from attnwatch.analysis.findings import choice_named, notation, p_value, seeds, sentence
from attnwatch.analysis.notation import number
from attnwatch.system.display import visible

_GAP, _NARROW = 3, 90  # characters between columns; up to how wide there is only one
_NAME = 24  # characters of the name of a choice, at most
_LEAST = 78  # characters in which everything else has room beside short names
_WIDE = 10_000  # characters; what is piped is not broken into lines


def show_comparison(comparison: Comparison) -> None:
    """Write a comparison to stdout: as wide as the terminal, or in whole lines if it goes elsewhere."""
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDE
    for levels, results in groupby(comparison.results, key=lambda result: (result.first, result.second)):
        some = list(results)
        console.print(_safe(_heading(*levels, some, comparison)))
        console.print(_table(some, comparison, width=console.width))
        console.print()
    for note in comparison.notes:
        console.print(_safe(note[:1].upper() + note[1:] + "."))
    if comparison.notes:
        console.print()
    for index, result in enumerate(comparison.results):
        if index and console.is_terminal:
            console.print()  # between sentences of several lines
        console.print(_safe(sentence(result, comparison)))


def _heading(first: str, second: str, results: list[Compared], comparison: Comparison) -> str:
    counts = {seeds(result) for result in results}
    count = f", {counts.pop()}" if len(counts) == 1 else ""
    return f"Attention to {comparison.word.label}, {choice_named(second)} minus {choice_named(first)}{count}"


def _table(results: list[Compared], comparison: Comparison, *, width: int) -> Table:
    """Return the results of two choices; where all have the same number of seeds, the heading says it.

    Of what is too wide, the names of the choices are broken first.
    """
    table = Table(box=None, pad_edge=False, padding=(0, _GAP if width > _NARROW else 1, 0, 0))
    is_whole = width >= _LEAST
    table.add_column("measure", overflow="fold", no_wrap=is_whole)
    names = [choice or "nothing" for choice in (results[0].first, results[0].second)]
    columns = [*names, "difference", "95 % interval", "d" if results[0].is_paired else "g", "p"]
    columns += ["Holm"] if comparison.tests > 1 else []
    has_counts = len({result.difference.counts for result in results}) > 1
    columns += ["n"] if has_counts else []
    for name in columns:
        heading = _safe(name)
        heading.truncate(_NAME, overflow="ellipsis")  # the line above the table has the whole name
        table.add_column(heading, justify="right", overflow="fold", no_wrap=is_whole and name not in names)
    for result in results:
        cells = list(_cells(result, has_corrected=comparison.tests > 1))
        table.add_row(*map(_safe, cells + ([_count(result)] if has_counts else [])))
    return table


def _cells(result: Compared, *, has_corrected: bool) -> Iterator[str]:
    difference, style = result.difference, notation(result)
    yield f"{result.measure.name} ({style.unit})" if style.unit else result.measure.name
    yield from (style.digits(value) for value in (*result.means, difference.mean))
    yield "" if isnan(difference.low) else f"{style.digits(difference.low)} to {style.digits(difference.high)}"
    yield "" if isnan(difference.effect) else number(difference.effect, 1)
    yield p_value(difference.p)
    if has_corrected:
        yield p_value(result.corrected)


def _count(result: Compared) -> str:
    first, second = result.difference.counts
    return str(first) if result.is_paired else f"{first}+{second}"


def _safe(text: str) -> Text:
    return Text(visible(text))
