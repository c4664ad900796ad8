"""Places the cells of a figure, their labels and their colour bars, so that nothing overlaps."""

from collections.abc import Iterator
from functools import cached_property

from attnwatch.render.boxes import Box
from attnwatch.render.plots.asked import Asked
from attnwatch.render.plots.bars import Bars
from attnwatch.render.plots.content import Cell, Content
from attnwatch.render.plots.grid import Grid, grid_in, thinned
from attnwatch.render.plots.placed import UNITS_PER_INCH, Layout, Placed
from attnwatch.render.text.fitting import fit
from attnwatch.render.text.lettering import Lettering
from attnwatch.render.text.measuring import Font

_PAGE_POINTS, _COLUMN_POINTS = (8, 7), (7.5, 7)  # of the title, and of everything else
_MARGIN = 6
_GAP, _SLIM_GAP, _MANY = 12, 6, 60  # between cells; between more cells than that
_SPACE, _SLIM_SPACE = 18, 8  # between a text and what it belongs to
_LABEL_SHARE = 0.16  # of the width, at most, for labels of rows
_TALLEST = 1.15  # height of all cells divided by the width of the figure, at most
_NARROWEST = 600  # titles need some room
_TITLE_LINES, _LABEL_LINES = 3, 2
_GREY = "0.35"


def laid_out(content: Content, asked: Asked) -> Layout:
    """Return where everything is in a figure that is as wide as asked, or narrower if it would be too tall."""
    points = _COLUMN_POINTS if asked.is_narrow else _PAGE_POINTS
    title, small = (Font(size, UNITS_PER_INCH) for size in points)
    return _Sheet(content, round(asked.size * UNITS_PER_INCH), title, small, has_title=asked.title).layout()


class _Sheet:
    """A figure that is being laid out.

    Args:
        content: what it shows.
        width: the most units that it may be wide.
        title: how the title is set.
        small: how everything else is set.
        has_title: whether it has a title.

    """

    def __init__(self, content: Content, width: int, title: Font, small: Font, *, has_title: bool) -> None:
        self._content, self._width, self._title, self._small = content, width, title, small
        self._has_title = has_title
        self._bars = Bars(content.bars, len(content.cells), small)

    def layout(self) -> Layout:
        """Return where everything is."""
        grid = self._grid()
        width = self._width
        if grid.is_narrowed:
            width = min(width, max(grid.right + self._bars.room_beside + _MARGIN, _NARROWEST))
        header = self._header(width)
        top = header[-1].box.bottom + _SPACE if header else _MARGIN
        grid = grid.at(top + self._head)
        bars = self._bars.placed(grid)
        texts = [*header, *self._columns(grid, top), *self._rows(grid), *self._captions(grid), *self._bars.texts(grid)]
        height = max([grid.bottom, *(text.box.bottom for text in texts)]) + _MARGIN
        cells = tuple((cell, grid.box(*place)) for place, cell in self._cells())
        return Layout(width, height, cells, tuple(texts), tuple(bars))

    def _grid(self) -> Grid:
        """Return the cells as large as their room, which depends on the labels, which depend on the cells."""
        content, label_height = self._content, 0
        left = _MARGIN + self._left
        gap = _SLIM_GAP if len(list(self._cells())) > _MANY else _GAP
        while True:
            room = self._width - left - self._bars.room_beside - _MARGIN
            sizes = (room, round(_TALLEST * self._width), content.aspect, content.width)
            grid = grid_in(*sizes, left=left, gap=gap, above=label_height, below=self._bars.room_below)
            needed = max((self._caption(cell, grid).height for _, cell in self._cells() if cell.label), default=0)
            needed += _SLIM_SPACE if needed else 0
            if needed <= label_height and not self._bars.rearranged(grid):
                return grid
            label_height = max(needed, label_height)

    def _cells(self) -> Iterator[tuple[tuple[int, int], Cell]]:
        for row, cells in enumerate(self._content.cells):
            for column, cell in enumerate(cells):
                yield (row, column), cell

    def _header(self, width: int) -> list[Placed]:
        """Return the prompt and, in grey, what is shown."""
        if not self._has_title:
            return []
        room, top, placed = width - 2 * _MARGIN, _MARGIN, list[Placed]()
        for text, font, lines, colour in (
            (self._content.title, self._title, _TITLE_LINES, "black"),
            (self._content.subtitle, self._small, _LABEL_LINES, _GREY),
        ):
            lettering = fit(text, font, width=room, lines=lines)
            if lettering.lines:
                placed.append(Placed(lettering, Box(_MARGIN, top, room, lettering.height), colour=colour))
                top += lettering.height
        return placed

    @cached_property
    def _column_labels(self) -> list[Lettering]:
        return [fit(label, self._small) for label in self._content.columns]

    @cached_property
    def _row_labels(self) -> list[list[Lettering]]:
        """The lines of the labels left of the rows."""
        room = round(_LABEL_SHARE * self._width)
        return [
            [fit(line, self._small, width=room, lines=_LABEL_LINES) for line in label.split("\n")]
            for label in self._content.rows
        ]

    @property
    def _head(self) -> int:
        """Height of the labels of the columns, and of what they are."""
        lines = [*self._column_labels[:1], *([fit(self._content.across, self._small)] if self._content.across else [])]
        return sum(line.height for line in lines) + _SLIM_SPACE if lines else 0

    @property
    def _left(self) -> int:
        """Width of the labels of the rows, and of what they are."""
        widest = max((line.width for label in self._row_labels for line in label), default=0)
        turned = fit(self._content.down, self._small).height + _SLIM_SPACE if self._content.down else 0
        return turned + (widest + _SPACE if widest else 0)

    def _columns(self, grid: Grid, top: int) -> Iterator[Placed]:
        if self._content.across:
            across = fit(self._content.across, self._small)
            yield Placed(across, Box(grid.left, top, grid.right - grid.left, across.height), "center")
            top += across.height
        widest = max((label.width for label in self._column_labels), default=0)
        beyond = max(0, (widest - grid.width + 1) // 2)  # of the first and the last one, which stay within the figure
        each = thinned([widest + beyond + _SLIM_SPACE], grid.width + grid.gap)
        for column, label in enumerate(self._column_labels[::each]):
            box = grid.box(0, column * each)
            left = min(box.left + (box.width - label.width) // 2, grid.right + self._bars.room_beside - label.width)
            left = max(left, _MARGIN)
            yield Placed(label, Box(left, top, label.width, label.height), "center")

    def _rows(self, grid: Grid) -> Iterator[Placed]:
        if self._content.down:
            down = fit(self._content.down, self._small)
            height = grid.bottom - grid.top
            yield Placed(down, Box(_MARGIN, grid.top, down.height, height), "center", is_turned=True)
        heights = [sum(line.height for line in label) for label in self._row_labels]
        each = thinned(heights, grid.pitch)
        for row, label in list(enumerate(self._row_labels))[::each]:
            box = grid.box(row, 0)
            top = box.top + (box.height - heights[row]) // 2
            for line in label:
                yield Placed(line, Box(_MARGIN, top, grid.left - _SPACE - _MARGIN, line.height), "right")
                top += line.height

    def _captions(self, grid: Grid) -> Iterator[Placed]:
        for place, cell in self._cells():
            if cell.label:
                caption, box = self._caption(cell, grid), grid.box(*place)
                top = box.top - _SLIM_SPACE - caption.height
                yield Placed(caption, Box(box.left, top, box.width, caption.height), "center")

    def _caption(self, cell: Cell, grid: Grid) -> Lettering:
        return fit(cell.label, self._small, width=grid.width, lines=_LABEL_LINES)
