"""Compares the choices of a template in a notebook."""

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from attnwatch.analysis.comparison import Comparison
from attnwatch.analysis.courses import LEVELS, Over, courses
from attnwatch.analysis.findings import sentence
from attnwatch.analysis.formats import data_frame
from attnwatch.analysis.records import table_of
from attnwatch.analysis.table import Level, Row

if TYPE_CHECKING:
    import pandas as pd

    from attnwatch.render.plots.plot import Plot


class BatchComparison:
    """What a comparison of videos found; notebooks show it as a table with a sentence for a paper about each result.

    Args:
        comparison: the results.
        rows_at: returns the rows of the videos at another level.

    """

    def __init__(self, comparison: Comparison, rows_at: Callable[[Level], list[Row]]) -> None:
        self._comparison, self._rows_at = comparison, rows_at

    @property
    def table(self) -> "pd.DataFrame":
        """A row for each two choices and each measure; MEASURES.md explains the columns."""
        return data_frame(table_of(self._comparison))

    @property
    def sentences(self) -> tuple[str, ...]:
        """A sentence for a paper about each result."""
        return tuple(sentence(result, self._comparison) for result in self._comparison.results)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out or done differently."""
        return self._comparison.notes

    def figure(self, *, over: Over | None = None, dpi: int = 300) -> "Plot":
        """Draw the seeds of each choice beside the differences, as `attnwatch compare --figure` does.

        Args:
            over: `time` or `steps` to draw how the measures go over time, or over the denoising steps, instead.
            dpi: pixels per inch of a saved PNG file.

        Returns:
            A figure of matplotlib that the notebook shows; `.save("kiss.pdf")` writes it as PDF, SVG or PNG.

        Raises:
            ConfigError: none of the measures has values over time or steps.

        """
        from attnwatch.render.charts.comparison import comparison_chart  # noqa: PLC0415 - takes half a second
        from attnwatch.render.charts.courses import courses_chart  # noqa: PLC0415

        found = self._comparison
        if over is None:
            return comparison_chart(found, dpi)
        names = [measure.name for measure in found.measures]
        rows = self._rows_at(LEVELS[over])
        return courses_chart(courses(rows, found.by, over, word=found.word.name, measures=names), dpi)

    def __repr__(self) -> str:
        return "\n".join([*self.sentences, *self.notes])

    def _repr_html_(self) -> str:
        shown = self.table[list(_SHOWN)].rename(columns=_SHOWN)
        lines = [f"<p>{escape(line)}</p>" for line in self.sentences]
        notes = [f"<li>{escape(note)}</li>" for note in self.notes]
        table = shown.to_html(index=False, escape=True, na_rep="", float_format="{:.3g}".format, border=0)
        return "\n".join([table, *lines, *(["<ul>", *notes, "</ul>"] if notes else [])])


_SHOWN = {
    "measure": "measure",
    "first": "first",
    "second": "second",
    "first_mean": "mean of first",
    "second_mean": "mean of second",
    "difference": "difference",
    "low": "95 % from",
    "high": "to",
    "effect": "effect size",
    "p": "p",
    "p_holm": "p (Holm)",
    "first_n": "n of first",
    "second_n": "n of second",
}
