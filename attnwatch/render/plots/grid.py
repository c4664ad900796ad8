"""Cells of one size in rows and columns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from attnwatch.render.boxes import Box

_SMALLEST = 4  # units: the least height and width of a cell


@dataclass(frozen=True)
class Grid:
    """Where the cells of a figure are.

    Attributes:
        columns: number of columns.
        left: left side of the first column.
        top: upper side of the first row, with what is above its cells.
        width: width of a cell.
        height: height of a cell.
        gap: between two columns, and between two rows.
        above: height of what is above the cells of a row.
        below: height of what is below the cells of each row.
        is_narrowed: whether the cells are smaller than their room, because the grid would be too high.

    """

    rows: int
    columns: int
    left: int
    top: int
    width: int
    height: int
    gap: int
    above: int
    below: tuple[int, ...]
    is_narrowed: bool

    @property
    def pitch(self) -> int:
        """From the top of one row to that of the next, if nothing is below the cells."""
        return self.above + self.height + self.gap

    @property
    def right(self) -> int:
        """Right side of the last column."""
        return self.left + self.columns * (self.width + self.gap) - self.gap

    @property
    def bottom(self) -> int:
        """Lower side of the last row, with what is below its cells."""
        return self.top + self.rows * self.pitch - self.gap + sum(self.below)

    def box(self, row: int, column: int) -> Box:
        """Return where a cell is."""
        top = self.top + row * self.pitch + sum(self.below[:row]) + self.above
        return Box(self.left + column * (self.width + self.gap), top, self.width, self.height)

    def across(self, row: int, columns: tuple[int, int]) -> Box:
        """Return the place of some cells of a row, from the first to the last column."""
        first, last = (self.box(row, column) for column in columns)
        return Box(first.left, first.top, last.right - first.left, first.height)

    def beside(self, rows: tuple[int, int]) -> Box:
        """Return the place right of some rows, from the first to the last, of no width."""
        top, bottom = self.box(rows[0], 0).top, self.box(rows[1], 0).bottom
        return Box(self.right, top, 0, bottom - top)

    def at(self, top: int) -> "Grid":
        """Return the grid at another height."""
        return replace(self, top=top)


def grid_in(
    room: int, tallest: int, aspect: float, columns: int, *, left: int, gap: int, above: int, below: Sequence[int]
) -> Grid:
    """Return a grid that fills a width, or less of it if its cells would then be higher than is allowed.

    Args:
        room: the width.
        tallest: the largest height.
        aspect: width of a cell divided by its height.
        columns: number of columns.
        left: see `Grid`, like the others.
        gap: ...
        above: ...
        below: ...

    """
    width = max(_SMALLEST, (room + gap) // columns - gap)
    height = max(_SMALLEST, round(width / aspect))
    rows = len(below)
    others = rows * (above + gap) - gap + sum(below)
    is_narrowed = rows * height + others > max(tallest, others + rows * _SMALLEST)
    if is_narrowed:
        height = max(_SMALLEST, (tallest - others) // rows)
        width = max(_SMALLEST, round(height * aspect))
    return Grid(rows, columns, left, 0, width, height, gap, above, tuple(below), is_narrowed)


def thinned(sizes: Sequence[int], distance: int) -> int:
    """Return which of the labels at a distance have room: each one, every second, fifth, tenth and so on."""
    needed = max(sizes, default=0)
    return next((each for each in (1, 2, 5, 10, 20, 50) if each * distance >= needed), 100)
