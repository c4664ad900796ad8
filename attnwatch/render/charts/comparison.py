"""Draws a comparison: the seeds of each choice, and beside them the differences with their intervals."""

from math import isnan

from matplotlib.axes import Axes

from attnwatch.analysis.comparison import Compared, Comparison
from attnwatch.analysis.findings import number, p_value, seeds
from attnwatch.analysis.statistics import LEVEL
from attnwatch.render.charts.panels import NAME_LINES, draw_difference, draw_differences, draw_seeds
from attnwatch.render.charts.scale import DPI, GREY, lettered
from attnwatch.render.plots.plot import Plot
from attnwatch.render.text.fitting import fit
from attnwatch.render.text.measuring import Font

WIDTH, COLUMN = 7.2, 3.5
"""Width in inches of a page, and of one of its columns."""

_TITLE = Font(8, DPI)
_MARGIN, _LABEL, _NUMBERS, _GAP = 0.06, 0.34, 0.36, 0.12  # inches
_LINE = 0.14  # height of a line of text
_BELOW = 0.2  # height of what is below the axes, besides the names of choices
_PANEL = 1.5  # height of the axes
_DIFFERENCE = 0.35  # width of an upright difference, as a share of the width of both
_WIDEST, _WIDER = 0.68, 0.06  # width of the seeds of several choices, and for each of them, as shares
_ROW, _LEAST = 0.17, 1.25  # height of a difference among several; of all of them
_PAIR_NAMES, _RESULTS = 1.45, 1.1  # width of the names of pairs, and of the figures beside their differences


def comparison_chart(comparison: Comparison, dpi: int = 300) -> Plot:
    """Return the chart of a comparison: a panel for each measure, as wide as a page or, for a single one, as a column.

    Of two choices, the difference stands beside the seeds; of more, the differences of all pairs are listed.
    """
    return (_Two if len(comparison.levels) == 2 else _Many)(comparison, dpi).draw()  # noqa: PLR2004 - a pair


class _Sheet:
    """A chart in the making; its coordinates are inches from the upper left corner."""

    columns = 1

    def __init__(self, comparison: Comparison, dpi: int) -> None:
        self._comparison = comparison
        self._of = {
            measure: [one for one in comparison.results if one.measure == measure] for measure in comparison.measures
        }
        self._measures = [measure for measure, results in self._of.items() if results]
        self._dpi = dpi
        self.width = WIDTH

    def draw(self) -> Plot:
        """Return the chart."""
        about, key = f"Attention to {self._comparison.word.label}", self._key()
        title = fit(about, _TITLE, width=self._inside * DPI, lines=2)
        legend = fit(key, Font(6.5, DPI), width=self._inside * DPI, lines=4)
        top = _MARGIN + title.height / DPI + 0.08
        heights = [self.row_height(row) for row in range(-(-len(self._measures) // self.columns))]
        height = top + sum(heights) + legend.height / DPI + _MARGIN
        plot = Plot((self.width, height), self._dpi, f"{about}. {key}", self._comparison.notes)
        size = plot.get_size_inches()
        for text, font_top, colour in ((title, _MARGIN, "black"), (legend, top + sum(heights), GREY)):
            for index, line in enumerate(text.lines):
                y = 1 - (font_top + (index * text.pitch + text.ascent) / DPI) / size[1]
                plot.text(_MARGIN / size[0], y, line, ha="left", va="baseline", color=colour, **text.style)
        for index in range(len(self._measures)):
            row, column = divmod(index, self.columns)
            self.panel(plot, index, column * self.width / self.columns, top + sum(heights[:row]))
        return plot

    def row_height(self, row: int) -> float:
        """Return the height of a row of panels."""
        raise NotImplementedError

    def panel(self, plot: Plot, index: int, left: float, top: float) -> None:
        """Draw the panel of a measure."""
        raise NotImplementedError

    @property
    def name_room(self) -> float:
        """Return the width of the name of a choice."""
        raise NotImplementedError

    @property
    def _names(self) -> float:
        """Return the height of the names of the choices."""
        names = [lettered(level or "nothing", self.name_room, NAME_LINES) for level in self._comparison.levels]
        return max(name.height for name in names) / DPI

    @property
    def _inside(self) -> float:
        return self.width - 2 * _MARGIN

    def _key(self) -> str:
        """Return what the marks mean."""
        tests = self._comparison.tests
        corrected = f"; p is corrected for {tests} comparisons (Holm)" if tests > 1 else ""
        lines = "Grey lines: seeds. " if any(one.is_paired for one in self._comparison.results) else ""
        return (
            f"Coloured points: one value for each seed. {lines}Black: means, and mean differences with their 95 % "
            f"interval, filled where p ≤ {LEVEL}{corrected}."
        )

    def _axes(self, plot: Plot, left: float, top: float, width: float, height: float) -> Axes:
        across, down = plot.get_size_inches()
        return plot.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


class _Two(_Sheet):
    """Two choices: panels side by side, each with the seeds and, on a scale of its own, the difference."""

    def __init__(self, comparison: Comparison, dpi: int) -> None:
        super().__init__(comparison, dpi)
        count = len(self._measures)
        self.columns = 1 if count <= 1 else 2
        self.width = COLUMN if count <= 1 else WIDTH

    def row_height(self, row: int) -> float:
        """Return the height of a row of panels."""
        return _LINE + _PANEL + self._names + (_BELOW if row < (len(self._measures) - 1) // self.columns else _GAP)

    def panel(self, plot: Plot, index: int, left: float, top: float) -> None:
        """Draw the panel of a measure."""
        (result,) = self._of[self._measures[index]]
        start, own = left + _LABEL + _NUMBERS, self._width * (1 - _DIFFERENCE)
        values = self._comparison.values[result.measure.name]
        axes = self._axes(plot, start, top + _LINE, own, _PANEL)
        draw_seeds(axes, values, result.measure, joined=result.is_paired, room=(self.name_room, _PANEL))
        beside = self._axes(plot, start + own + _GAP, top + _LINE, self._width - own, _PANEL)
        draw_difference(beside, result, room=_PANEL)
        text = lettered(_figures(result), self.width / self.columns - _LABEL, lines=1)
        axes.set_title(text.text, **text.style, loc="left", color=GREY, pad=5, x=-0.02)

    @property
    def name_room(self) -> float:
        """Return the width of the name of a choice."""
        return self._width * (1 - _DIFFERENCE) / 2

    @property
    def _width(self) -> float:
        """The width of the axes of both parts."""
        return self.width / self.columns - 2 * (_LABEL + _NUMBERS + _GAP)


class _Many(_Sheet):
    """More choices: for each measure the seeds, and a list of all differences on one scale."""

    def row_height(self, row: int) -> float:
        """Return the height of a row of panels."""
        return self._inner(row) + max(self._names, _LINE) + _BELOW

    def _inner(self, row: int) -> float:
        return max(_LEAST, _ROW * len(self._of[self._measures[row]]))

    def panel(self, plot: Plot, index: int, left: float, top: float) -> None:
        """Draw the panel of a measure."""
        measure, height = self._measures[index], self._inner(index)
        results, values = self._of[measure], self._comparison.values[measure.name]
        start, own = left + _LABEL + _NUMBERS, self._own
        axes = self._axes(plot, start, top + _MARGIN, own, height)
        is_joined = any(one.is_paired for one in results)
        draw_seeds(axes, values, measure, joined=is_joined, room=(self.name_room, height))
        right = self._width - own
        beside = self._axes(plot, start + own + _PAIR_NAMES, top + _MARGIN, right, height)
        draw_differences(beside, results, [_short(one) for one in results], rooms=(_PAIR_NAMES - _GAP, right))

    @property
    def name_room(self) -> float:
        """Return the width of the name of a choice."""
        return self._own / len(self._comparison.levels) - 0.02

    @property
    def _width(self) -> float:
        """The width of the axes of both parts."""
        return self.width - _LABEL - _NUMBERS - _PAIR_NAMES - _RESULTS - _MARGIN

    @property
    def _own(self) -> float:
        """The width of the axes with the seeds: wider for more choices."""
        return self._width * min(_WIDEST, _DIFFERENCE + _WIDER * len(self._comparison.levels))


def _figures(result: Compared) -> str:
    return f"{_short(result)}, n = {seeds(result)}"


def _short(result: Compared) -> str:
    """Return effect size and corrected p."""
    p = f"p {p_value(result.corrected, sign=True)}"
    effect = result.difference.effect
    if isnan(effect):
        return p
    return f"{'d' if result.is_paired else 'g'} = {number(effect, 1)}, {p}"
