"""Draws a comparison: the seeds of each choice, and beside them the differences with their intervals."""

from math import isnan

from attnwatch.analysis.comparison import Compared, Comparison
from attnwatch.analysis.findings import p_value, seeds
from attnwatch.analysis.notation import number
from attnwatch.analysis.statistics import LEVEL
from attnwatch.errors import ConfigError
from attnwatch.render.charts.panels import NAME_LINES, draw_difference, draw_differences, draw_seeds
from attnwatch.render.charts.scale import DPI, GREY, lettered
from attnwatch.render.charts.sheet import COLUMN, GAP, LABEL, LINE, MARGIN, NUMBERS, PANEL, WIDTH, Sheet
from attnwatch.render.plots.plot import Plot

_MOST = 12  # choices
_BELOW = 0.2  # height of what is below the axes, besides the names of choices
_DIFFERENCE = 0.35  # width of an upright difference, as a share of the width of both
_WIDEST, _WIDER = 0.68, 0.06  # width of the seeds of several choices, and for each of them, as shares
_ROW, _LEAST = 0.17, 1.25  # height of a difference among several; of all of them
_PAIR_NAMES, _RESULTS = 1.45, 1.1  # width of the names of pairs, and of the figures beside their differences


def comparison_chart(comparison: Comparison, dpi: int = 300) -> Plot:
    """Return the chart of a comparison: a panel for each measure, as wide as a page or, for a single one, as a column.

    Of two choices, the difference stands beside the seeds; of more, the differences of all pairs are listed.

    Raises:
        ConfigError: there are too many choices to draw.

    """
    count = len(comparison.levels)
    if count > _MOST:
        expected = f"at most {_MOST} in a figure, which have {_MOST * (_MOST - 1) // 2} differences"
        raise ConfigError(f"found {count} choices; expected {expected}; compare fewer videos, or leave the figure out")
    return (_Two if count == 2 else _Many)(comparison, dpi).draw()  # noqa: PLR2004 - a pair


class _Sheet(Sheet):
    """The chart of a comparison in the making."""

    def __init__(self, comparison: Comparison, dpi: int) -> None:
        self._comparison = comparison
        self._of = {
            measure: [one for one in comparison.results if one.measure == measure] for measure in comparison.measures
        }
        self._measures = [measure for measure, results in self._of.items() if results]
        about = f"Attention to {comparison.word.label}"
        super().__init__(about, _key(comparison), len(self._measures), dpi, comparison.notes)

    @property
    def name_room(self) -> float:
        """Return the width of the name of a choice."""
        raise NotImplementedError

    @property
    def _names(self) -> float:
        """Return the height of the names of the choices."""
        names = [lettered(level or "nothing", self.name_room, NAME_LINES) for level in self._comparison.levels]
        return max(name.height for name in names) / DPI


def _key(comparison: Comparison) -> str:
    """Return what the marks mean."""
    tests = comparison.tests
    corrected = f"; p is corrected for {tests} comparisons (Holm)" if tests > 1 else ""
    lines = "Grey lines: seeds. " if any(one.is_paired for one in comparison.results) else ""
    return (
        f"Coloured points: one value for each seed. {lines}Black: means, and mean differences with their 95 % "
        f"interval, filled where p ≤ {LEVEL}{corrected}."
    )


class _Two(_Sheet):
    """Two choices: panels side by side, each with the seeds and, on a scale of its own, the difference."""

    def __init__(self, comparison: Comparison, dpi: int) -> None:
        super().__init__(comparison, dpi)
        self.columns, self.width = (1, COLUMN) if self.count <= 1 else (2, WIDTH)

    def row_height(self, row: int) -> float:
        """Return the height of a row of panels."""
        return LINE + PANEL + self._names + (_BELOW if row < (self.count - 1) // self.columns else GAP)

    def panel(self, plot: Plot, index: int, left: float, top: float) -> None:
        """Draw the panel of a measure."""
        (result,) = self._of[self._measures[index]]
        start, own = left + LABEL + NUMBERS, self._width * (1 - _DIFFERENCE)
        values = self._comparison.values[result.measure.name]
        axes = self.axes(plot, start, top + LINE, own, PANEL)
        draw_seeds(axes, values, result.measure, joined=result.is_paired, room=(self.name_room, PANEL))
        beside = self.axes(plot, start + own + GAP, top + LINE, self._width - own, PANEL)
        draw_difference(beside, result, room=PANEL)
        text = lettered(_figures(result), self.width / self.columns - LABEL, lines=1)
        axes.set_title(text.text, **text.style, loc="left", color=GREY, pad=5, x=-0.02)

    @property
    def name_room(self) -> float:
        """Return the width of the name of a choice."""
        return self._width * (1 - _DIFFERENCE) / 2

    @property
    def _width(self) -> float:
        """The width of the axes of both parts."""
        return self.width / self.columns - 2 * (LABEL + NUMBERS + GAP)


class _Many(_Sheet):
    """More choices: for each measure the seeds, and a list of all differences on one scale."""

    def row_height(self, row: int) -> float:
        """Return the height of a row of panels."""
        return self._inner(row) + max(self._names, LINE) + _BELOW

    def _inner(self, row: int) -> float:
        return max(_LEAST, _ROW * len(self._of[self._measures[row]]))

    def panel(self, plot: Plot, index: int, left: float, top: float) -> None:
        """Draw the panel of a measure."""
        measure, height = self._measures[index], self._inner(index)
        results, values = self._of[measure], self._comparison.values[measure.name]
        start, own = left + LABEL + NUMBERS, self._own
        axes = self.axes(plot, start, top + MARGIN, own, height)
        is_joined = any(one.is_paired for one in results)
        draw_seeds(axes, values, measure, joined=is_joined, room=(self.name_room, height))
        right = self._width - own
        beside = self.axes(plot, start + own + _PAIR_NAMES, top + MARGIN, right, height)
        draw_differences(beside, results, [_short(one) for one in results], rooms=(_PAIR_NAMES - GAP, right))

    @property
    def name_room(self) -> float:
        """Return the width of the name of a choice."""
        return self._own / len(self._comparison.levels) - 0.02

    @property
    def _width(self) -> float:
        """The width of the axes of both parts."""
        return self.width - LABEL - NUMBERS - _PAIR_NAMES - _RESULTS - MARGIN

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
