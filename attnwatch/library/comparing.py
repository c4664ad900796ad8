"""Compares the choices of a template in a notebook."""

import logging
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from attnwatch.analysis.comparison import Comparison, compare
from attnwatch.analysis.extras import extra
from attnwatch.analysis.findings import sentence
from attnwatch.analysis.formats import data_frame
from attnwatch.analysis.named import USUAL
from attnwatch.analysis.records import table_of
from attnwatch.analysis.table import Table
from attnwatch.batches.videos import outputs_of, read_video
from attnwatch.contract.receipts import describe
from attnwatch.errors import AttnwatchError
from attnwatch.jobs.tables import add_video
from attnwatch.library.effective import effective

if TYPE_CHECKING:
    import pandas as pd

    from attnwatch.render.plots.plot import Plot

_log = logging.getLogger(__name__)


class BatchComparison:
    """What a comparison of videos found; notebooks show it as a table with a sentence for a paper about each result.

    Args:
        comparison: the results.

    """

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison

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

    def figure(self, *, dpi: int = 300) -> "Plot":
        """Draw the seeds of each choice beside the differences, as `attnwatch compare --figure` does.

        Returns a figure of matplotlib that the notebook shows; `.save("kiss.pdf")` writes it as PDF, SVG or PNG.
        """
        from attnwatch.render.charts.comparison import comparison_chart  # noqa: PLC0415 - takes half a second

        return comparison_chart(self._comparison, dpi)

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


def compare_videos(
    paths: Iterable[Path], by: int | str, word: str | None, measure: str | Sequence[str] | None
) -> BatchComparison:
    """Compare videos, as `Batch.compare` says; those that cannot be measured are left out, with a warning."""
    extra("scipy.stats")  # before videos are measured, which may take long
    table = Table()
    for path in paths:
        try:
            manifest = read_video(path)
            add_video(table, manifest, "video", effective(manifest, {})[0])
        except (AttnwatchError, OSError) as error:
            _log.warning("%s: not measured: %s", outputs_of(path)[0], describe(error))
    measures = USUAL if measure is None else (measure,) if isinstance(measure, str) else tuple(measure)
    return BatchComparison(compare(list(table.rows()), by, word=word, measures=measures))
