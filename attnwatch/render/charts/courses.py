"""Draws how measures of each choice go over the frames of the videos, or over the denoising steps."""

from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from attnwatch.analysis.courses import Course, Courses
from attnwatch.render.charts.panels import colour_of, tidy
from attnwatch.render.charts.scale import DPI, SMALL, Scale, lettered
from attnwatch.render.charts.sheet import COLUMN, GAP, LABEL, LINE, MARGIN, NUMBERS, PANEL, WIDTH, Sheet
from attnwatch.render.plots.plot import Plot
from attnwatch.render.text.fitting import fit
from attnwatch.render.text.lettering import Lettering

_LABELS = {"time": "time (s)", "steps": "denoising step"}
_KEY = "Lines: means over the seeds. Bands: 95 % intervals of these means."
_DASH, _AFTER = 0.16, 0.2  # inches: the line before the name of a choice; the room after it
_BELOW = 0.36  # height of numbers and label below the axes
_UP, _ACROSS = 6, 7  # numbers on an axis
_WIDTH = 1.1  # of a line, in points


def courses_chart(courses: Courses, dpi: int = 300) -> Plot:
    """Return a chart with a panel for each measure: a line for each choice, with the 95 % interval of the mean."""
    return _Courses(courses, dpi).draw()


@dataclass(frozen=True)
class _Name:
    """The name of a choice in the legend, at a place in inches."""

    text: Lettering
    left: float
    line: int


class _Courses(Sheet):
    def __init__(self, courses: Courses, dpi: int) -> None:
        super().__init__(f"Attention to {courses.word.label}", _KEY, len(courses.measures), dpi, courses.notes)
        self._courses = courses
        self.columns, self.width = (1, COLUMN) if self.count <= 1 else (2, WIDTH)
        self._legend = list(self._placed())
        self.header = (self._legend[-1].line + 1) * LINE + MARGIN

    def row_height(self, row: int) -> float:
        """Return the height of a row of panels: the last one has less below it."""
        return PANEL + _BELOW + (GAP if row < (self.count - 1) // self.columns else MARGIN)

    def draw_header(self, plot: Plot, top: float) -> None:
        """Draw the names of the choices in one or more lines, each after a piece of its line."""
        across, down = plot.get_size_inches()
        for index, name in enumerate(self._legend):
            y = 1 - (top + (name.line + 0.5) * LINE) / down
            ends = [(name.left - _DASH - MARGIN) / across, (name.left - MARGIN) / across]
            plot.add_artist(Line2D(ends, [y, y], color=colour_of(index), linewidth=2 * _WIDTH, solid_capstyle="butt"))
            name.text.draw(plot, name.left * DPI, (top + name.line * LINE) * DPI)

    def panel(self, plot: Plot, index: int, left: float, top: float) -> None:
        """Draw the panel of a measure."""
        measure = self._courses.measures[index]
        width = self.width / self.columns - LABEL - NUMBERS - 2 * GAP
        axes = self.axes(plot, left + LABEL + NUMBERS, top, width, PANEL)
        lines = self._courses.of[measure.name]
        for number, level in enumerate(self._courses.levels):
            if level in lines:
                _draw(axes, lines[level], colour_of(number))
        tidy(axes, "left", "bottom")
        up = Scale.around([value for one in lines.values() for value in (*one.mean, *one.low, *one.high)], _UP)
        up.put_on(axes.yaxis)
        across = Scale.around([place for one in lines.values() for place in one.places], _ACROSS)
        across.put_on(axes.xaxis)
        label = lettered(up.named(measure.axis), PANEL)
        axes.set_ylabel(label.text, **label.style, labelpad=3)
        below = lettered(across.named(_LABELS[self._courses.over]), width)
        axes.set_xlabel(below.text, **below.style, labelpad=2)

    def _placed(self) -> Iterator[_Name]:
        """Yield the names of the choices, in as many lines as they need."""
        start = MARGIN + _DASH + MARGIN
        left, line = start, 0
        for level in self._courses.levels:
            text = fit(level or "nothing", SMALL, width=(self.inside - _DASH - MARGIN) * DPI, lines=1)
            if left + text.width / DPI > self.width - MARGIN and left > start:
                left, line = start, line + 1
            yield _Name(text, left, line)
            left += text.width / DPI + _AFTER + _DASH + MARGIN


def _draw(axes: Axes, course: Course, colour: str) -> None:
    axes.fill_between(course.places, course.low, course.high, color=colour, alpha=0.2, linewidth=0)
    marker = "o" if len(course.places) == 1 else ""
    axes.plot(course.places, course.mean, color=colour, linewidth=_WIDTH, marker=marker, markersize=3)
