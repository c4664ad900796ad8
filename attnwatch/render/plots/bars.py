"""Places colour bars with their numbers and labels: right of the rows, or below the columns, that they are for."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import groupby

from attnwatch.analysis.notation import power_of, with_power
from attnwatch.render.boxes import Box
from attnwatch.render.plots.content import Bar
from attnwatch.render.plots.grid import Grid
from attnwatch.render.plots.placed import Placed, PlacedBar
from attnwatch.render.plots.ticks import ticks
from attnwatch.render.text.fitting import fit
from attnwatch.render.text.measuring import Font

TICK = 8
"""Length of the line from a bar to a number."""

_THICKNESS = 26
_SPACE, _SLIM_SPACE = 24, 8  # from the cells to a bar; between a bar, its numbers and its label
_LONGEST = 1050  # units
_FEW, _SEVERAL = 2, 6  # numbers beside a bar
_SHORT = 240  # a bar shorter than that has few
_MOST_LINES = 2


class Bars:
    """The colour bars of a figure.

    Args:
        bars: what they show.
        rows: number of rows of cells.
        font: how their numbers and labels are set.

    """

    def __init__(self, bars: Sequence[Bar], rows: int, font: Font) -> None:
        self._rows, self._font = rows, font
        self._beside = [bar for bar in bars if not bar.is_below]
        self._below = [bar for bar in bars if bar.is_below]
        self._power = power_of(*(end for bar in bars for end in (bar.low, bar.high)))
        self._text = with_power(bars[0].label, self._power)
        self._lines = 1

    @property
    def room_beside(self) -> int:
        """Width of the bars right of the cells, with everything that belongs to them."""
        return self._label_left + self._lines * self._pitch if self._beside else 0

    @property
    def room_below(self) -> tuple[int, ...]:
        """Height of the bars below the cells of each row, with everything that belongs to them."""
        numbers = TICK + _SLIM_SPACE + self._pitch
        room = _SLIM_SPACE + _THICKNESS + numbers + self._lines * self._pitch
        with_bars = {bar.rows[1] for bar in self._below}
        return tuple(room * (row in with_bars) for row in range(self._rows))

    def rearranged(self, grid: Grid) -> bool:
        """Return whether the room of the bars has changed, because the label does not fit beside or below the cells.

        It is put into two lines; if these are too long for the height of a single row, the bar lies below that row.
        """
        room = self._room_for_label(grid)
        if self._lines < _MOST_LINES and self._label_width > room:
            self._lines = _MOST_LINES
        elif self._least_room > room and [bar.rows for bar in self._beside] == [(grid.rows - 1, grid.rows - 1)]:
            self._below, self._beside = [replace(bar, is_below=True) for bar in self._beside], []
            self._lines = 1
        else:
            return False
        return True

    def placed(self, grid: Grid) -> Iterator[PlacedBar]:
        """Yield each bar in its place."""
        for bar in self._beside:
            place = grid.beside(bar.rows)
            length = min(place.height, _LONGEST)
            top = place.top + (place.height - length) // 2
            yield self._with_ticks(bar, Box(place.left + _SPACE, top, _THICKNESS, length), length)
        for bar in self._below:
            cells = grid.across(bar.rows[1], bar.columns)
            box = Box(cells.left, cells.bottom + _SLIM_SPACE, cells.width, _THICKNESS)
            yield self._with_ticks(bar, box, cells.width)

    def texts(self, grid: Grid) -> Iterator[Placed]:
        """Yield numbers and labels: one label for all bars right of the cells, and one for each row below them."""
        for placed in self.placed(grid):
            yield from (self._number(placed, text, share) for text, share in placed.numbers())
        room = max(self._room_for_label(grid), self._least_room)
        label = fit(self._text, self._font, width=room, lines=self._lines)
        if self._beside:
            place = grid.beside((self._beside[0].rows[0], self._beside[-1].rows[1]))
            height = max(place.height, label.width)
            yield Placed(
                label, Box(place.left + self._label_left, place.top, label.height, height), "center", is_turned=True
            )
        for row in self._rows_below(grid):
            top = row.bottom + max(self.room_below) - self._lines * self._pitch
            left = min(row.left + (row.width - label.width) // 2, grid.right - label.width)
            yield Placed(label, Box(max(grid.left, left), top, label.width, label.height), "center")

    def _with_ticks(self, bar: Bar, box: Box, length: int) -> PlacedBar:
        return PlacedBar(bar, box, ticks(bar, self._power, _FEW if length < _SHORT else _SEVERAL))

    def _number(self, placed: PlacedBar, text: str, share: float) -> Placed:
        """Return a number at its place beside a bar, but not beyond the ends of the bar."""
        number, bar = fit(text, self._font), placed.box
        if not placed.bar.is_below:
            middle = bar.bottom - share * bar.height
            top = min(max(round(middle - number.height / 2), bar.top), bar.bottom - number.height)
            left = bar.right + TICK + _SLIM_SPACE
        else:
            middle = bar.left + share * bar.width
            left = min(max(round(middle - number.width / 2), bar.left), bar.right - number.width)
            top = bar.bottom + TICK + _SLIM_SPACE
        return Placed(number, Box(left, top, number.width, number.height))

    def _room_for_label(self, grid: Grid) -> int:
        if self._below:
            return min(row.width for row in self._rows_below(grid))
        return grid.beside((self._beside[0].rows[0], self._beside[-1].rows[1])).height

    def _rows_below(self, grid: Grid) -> Iterator[Box]:
        """Yield the places of the cells above the bars of each row, from the first to the last one."""
        for row, some in groupby(self._below, key=lambda bar: bar.rows[1]):
            bars = list(some)
            yield grid.across(row, (bars[0].columns[0], bars[-1].columns[1]))

    @property
    def _pitch(self) -> int:
        return fit(self._text, self._font).pitch

    @cached_property
    def _least_room(self) -> int:
        """Width of the label in as many lines as it may have."""
        words = self._text.split()
        parts = [(" ".join(words[:split]), " ".join(words[split:])) for split in range(1, len(words))]
        return min(max(fit(part, self._font).width for part in both) for both in parts) if parts else self._label_width

    @cached_property
    def _label_width(self) -> int:
        return fit(self._text, self._font).width

    @cached_property
    def _label_left(self) -> int:
        """From the cells to the label of bars beside them."""
        found = [ticks(bar, self._power, most) for bar in self._beside for most in (_FEW, _SEVERAL)]
        widest = max((fit(text, self._font).width for some in found for text in some.labels), default=0)
        return _SPACE + _THICKNESS + TICK + _SLIM_SPACE + widest + _SLIM_SPACE
