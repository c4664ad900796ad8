"""Draws matrices of measures: layers and heads, or words and words."""

from math import isnan
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from attnwatch.analysis.matrices import Matrices, Matrix
from attnwatch.render.charts.scale import DPI, SMALL, Scale, lettered
from attnwatch.render.charts.scale import LINE as THIN
from attnwatch.render.charts.sheet import COLUMN, GAP, LINE, MARGIN, WIDTH, Sheet
from attnwatch.render.plots.plot import Plot
from attnwatch.render.text.fitting import fit

_COLORMAP, _NONE = "viridis", "0.92"  # also of cells without a value
_HEIGHT = 1.9  # inches of the axes
_BELOW, _TICKS = 0.34, 0.3  # inches for numbers and label below the axes; for numbers beside them
_BAR, _BAR_ROOM = 0.09, 0.75  # width of the colour bar, and of all that belongs to it
_WIDEST_NAME = 0.9  # inches of a name beside or below the axes
_MOST_TICKS, _MOST_WRITTEN = 12, 6  # numbers along an axis; rows whose values are written into the cells
_DARK = 0.6  # share of the colour scale up to which white letters are read better


def matrices_chart(matrices: Matrices, dpi: int = 300) -> Plot:
    """Return a chart with a panel for each matrix, all on one colour scale."""
    return _Sheet(matrices, dpi).draw()


class _Sheet(Sheet):
    def __init__(self, matrices: Matrices, dpi: int) -> None:
        super().__init__(matrices.title, matrices.key, len(matrices.each), dpi, ())
        self._matrices = matrices
        self.columns, self.width = (1, COLUMN) if self.count <= 1 else (2, WIDTH)
        values = np.concatenate([matrix.values.ravel() for matrix in matrices.each])
        known = values[np.isfinite(values)]
        self._ends = _ends(float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        names = [name for matrix in matrices.each for name in (*matrix.rows, *matrix.columns)]
        self._names = max(fit(name, SMALL, width=_WIDEST_NAME * DPI, lines=1).width for name in names) / DPI
        widest = max(len(matrix.columns) for matrix in matrices.each) * self._names
        room = self.width / self.columns - 2 * MARGIN - self._names - _BAR_ROOM
        self._is_turned = not matrices.columns and widest > room
        self._head = LINE if any(matrix.title for matrix in matrices.each) else 0.0

    def row_height(self, row: int) -> float:
        """Return the height of a row of panels."""
        names = self._names + MARGIN if self._is_turned else LINE + MARGIN
        below = (_BELOW if self._matrices.columns else names) + MARGIN
        return self._head + _HEIGHT + below + (GAP if row < (self.count - 1) // self.columns else 0)

    def panel(self, plot: Plot, index: int, left: float, top: float) -> None:
        """Draw a matrix with its colour bar."""
        matrix = self._matrices.each[index]
        start = left + MARGIN + max(_TICKS, self._names + MARGIN) + (LINE if self._matrices.rows else 0)
        width = left + self.width / self.columns - start - _BAR_ROOM
        axes = self.axes(plot, start, top + self._head, width, _HEIGHT)
        axes.set_facecolor(_NONE)
        axes.imshow(matrix.values, aspect="auto", cmap=_COLORMAP, vmin=self._ends[0], vmax=self._ends[1])
        self._label(axes, matrix, width)
        if max(matrix.values.shape) <= _MOST_WRITTEN and not self._matrices.rows:
            self._write(axes, matrix)
        self._bar(plot, start + width + GAP, top + self._head)

    def _label(self, axes: Axes, matrix: Matrix, width: float) -> None:
        for axis, names in ((axes.xaxis, matrix.columns), (axes.yaxis, matrix.rows)):
            step = -(-len(names) // _MOST_TICKS)
            shown = [fit(name, SMALL, width=_WIDEST_NAME * DPI, lines=1).text for name in names[::step]]
            axis.set_ticks(range(0, len(names), step), shown, **fit("".join(shown), SMALL).style)
            axis.set_tick_params(length=2, width=THIN, pad=2)
        if self._is_turned:
            axes.tick_params(axis="x", labelrotation=90)
        for spine in axes.spines.values():
            spine.set_linewidth(THIN)
        style = fit("0", SMALL).style
        axes.set_xlabel(self._matrices.columns, **style, labelpad=2)
        axes.set_ylabel(self._matrices.rows, **style, labelpad=3)
        title = lettered(matrix.title, width, lines=1)
        axes.set_title(title.text, **title.style, loc="left", pad=3)

    def _write(self, axes: Axes, matrix: Matrix) -> None:
        """Write each value into its cell."""
        low, high = self._ends
        for (row, column), value in np.ndenumerate(matrix.values):
            if not isnan(value):
                is_dark = (value - low) <= _DARK * (high - low)
                how: dict[str, Any] = {"ha": "center", "va": "center", "color": "white" if is_dark else "black"}
                axes.text(column, row, f"{value:.2f}", **how, **fit("0", SMALL).style)

    def _bar(self, plot: Plot, left: float, top: float) -> None:
        axes = self.axes(plot, left, top, _BAR, _HEIGHT)
        low, high = self._ends
        ramp = np.linspace(0, 1, 256)[:, None]
        axes.imshow(ramp, aspect="auto", origin="lower", cmap=_COLORMAP, extent=(0, 1, low, high))
        axes.set_xticks([])
        axes.yaxis.tick_right()
        axes.yaxis.set_label_position("right")
        scale = Scale.between(low, high, 5)
        scale.put_on(axes.yaxis)
        label = lettered(scale.named(self._matrices.measure), _HEIGHT)
        axes.set_ylabel(label.text, **label.style, rotation=270, va="bottom", labelpad=3)
        for spine in axes.spines.values():
            spine.set_linewidth(THIN)


def _ends(low: float, high: float) -> tuple[float, float]:
    """Return the ends of a colour scale, which are apart also if all values are the same."""
    return (low, high) if high > low else (0.0, 2 * high or 1.0)
