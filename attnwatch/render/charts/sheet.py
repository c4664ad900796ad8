"""Places the panels of a chart between its title and the key to its marks."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from attnwatch.render.charts.scale import DPI, GREY
from attnwatch.render.plots.plot import Plot
from attnwatch.render.text.fitting import fit
from attnwatch.render.text.measuring import Font

WIDTH, COLUMN = 7.2, 3.5
"""Width in inches of a page, and of one of its columns."""

MARGIN, LABEL, NUMBERS, GAP = 0.06, 0.34, 0.36, 0.12
"""Inches: around the chart; for the label of an axis; for its numbers; between two parts of a panel."""

LINE, PANEL = 0.14, 1.5
"""Height in inches of a line of text, and of the axes of a panel."""

_TITLE, _KEY = Font(8, DPI), Font(6.5, DPI)
_SPACE = 0.08  # inches below the title


class Sheet:
    """A chart in the making; its coordinates are inches from the upper left corner.

    Args:
        about: the title.
        key: what the marks mean.
        count: number of panels.
        dpi: pixels per inch of the saved file.
        notes: remarks on what is left out.

    Attributes:
        columns: panels beside each other.
        width: width of the chart.
        header: height of what stands between the title and the panels.

    """

    columns = 1
    width = WIDTH
    header = 0.0

    def __init__(self, about: str, key: str, count: int, dpi: int, notes: Sequence[str]) -> None:
        self._about, self._key, self.count, self._dpi, self._notes = about, key, count, dpi, notes

    def draw(self) -> Plot:
        """Return the chart."""
        title = fit(self._about, _TITLE, width=self.inside * DPI, lines=2)
        key = fit(self._key, _KEY, width=self.inside * DPI, lines=4)
        below = MARGIN + title.height / DPI + _SPACE
        top = below + self.header
        heights = [self.row_height(row) for row in range(-(-self.count // self.columns))]
        bottom = top + sum(heights)
        size = (self.width, bottom + key.height / DPI + MARGIN)
        plot = Plot(size, self._dpi, f"{self._about}. {self._key}", self._notes)
        title.draw(plot, MARGIN * DPI, MARGIN * DPI)
        key.draw(plot, MARGIN * DPI, bottom * DPI, color=GREY)
        self.draw_header(plot, below)
        for index in range(self.count):
            row, column = divmod(index, self.columns)
            self.panel(plot, index, column * self.width / self.columns, top + sum(heights[:row]))
        return plot

    def draw_header(self, plot: Plot, top: float) -> None:
        """Draw what stands between the title and the panels."""

    def row_height(self, row: int) -> float:
        """Return the height of a row of panels."""
        raise NotImplementedError

    def panel(self, plot: Plot, index: int, left: float, top: float) -> None:
        """Draw a panel."""
        raise NotImplementedError

    @property
    def inside(self) -> float:
        """The width without the margins."""
        return self.width - 2 * MARGIN

    def axes(self, plot: Plot, left: float, top: float, width: float, height: float) -> Axes:
        """Return new axes at a place."""
        across, down = plot.get_size_inches()
        return plot.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
