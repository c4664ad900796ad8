"""Where everything is on a page of pictures beside each other, in pixels. All edges of pictures are even.

A page has a title with a clock, headings of columns, and a grid of groups. A group is one video, or one word of a
single video: a caption above one or more cells.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from attnwatch.errors import ConfigError
from attnwatch.render.boxes import Box
from attnwatch.render.pages.lines import TextStyle

USUAL_WIDTH = 1920
"""Width of a page of a video at most, unless another one is asked for."""

HIGHEST = 2160
"""Height of a page at most: what players take."""

_SMALLEST, _ENLARGED = 32, 240  # pixels: side of a cell at least; height to which small videos are enlarged
_IN_A_ROW = 3  # groups that stay in one row whatever their shape
_WIDESCREEN = 16 / 9
_LETTERS = (12, 24)  # pixels


@dataclass(frozen=True)
class Shape:
    """What is to be arranged.

    Attributes:
        sizes: width and height of the videos in square pixels, one for each group.
        cells: number of cells of each group.
        across: groups beside each other; None to choose.
        width: width of the page; None for the size of the videos.
        widest: width of the page at most if none is given.
        heads: whether the columns have headings: each its own, or one for all if groups have one cell.
        title: height of the title's text; at least that of a usual line is kept free, here and below.
        caption: height of the text above each group.
        head: height of the headings of columns.

    """

    sizes: Sequence[tuple[float, float]]
    cells: int
    across: int | None
    width: int | None
    widest: int
    heads: bool
    title: int = 0
    caption: int = 0
    head: int = 0

    @property
    def aspect(self) -> float:
        """Width of the widest video divided by its height."""
        return max(width / height for width, height in self.sizes)


@dataclass(frozen=True)
class Layout:
    """The places of all parts of a page.

    Attributes:
        size: width and height of the page.
        letters: size of the letters.
        title: place of the title, with room for the clock at its right.
        heads: places of the headings: one per column of cells, or one for all.
        captions: place of the caption of each group.
        cells: places of the pictures of each group.

    """

    size: tuple[int, int]
    letters: int
    title: Box
    heads: list[Box]
    captions: list[Box]
    cells: list[list[Box]]


def arranged(shape: Shape) -> Layout:
    """Arrange a page.

    Raises:
        ConfigError: the cells would be too small to show anything.

    """
    across = min(shape.across or _across(shape), len(shape.sizes))
    columns = across * shape.cells
    pictures = columns * shape.aspect * max(_ENLARGED, *(height for _, height in shape.sizes))
    expected = shape.width or min(shape.widest, pictures)
    letters = round(min(max(_LETTERS[0], min(8 + expected / 120, expected / columns / 18)), _LETTERS[1]))
    page = _Page(shape, across, letters)
    return page.arranged(shape.width or min(shape.widest, page.beside + pictures))


def _across(shape: Shape) -> int:
    """Return how many groups to put into a row.

    Groups of several cells are compared cell by cell, so that each has its row. Others fill a page that is about as
    wide as a screen.
    """
    groups = len(shape.sizes)
    if shape.cells > 1:
        return 1
    if groups <= _IN_A_ROW:
        return groups

    def unlike(across: int) -> float:
        down = math.ceil(groups / across)
        return abs(math.log(across * shape.aspect / down / _WIDESCREEN)) + (across * down - groups) / groups

    return min(range(1, groups + 1), key=unlike)


class _Page:
    """Arranges the groups of a page in rows of a given length."""

    def __init__(self, shape: Shape, across: int, letters: int) -> None:
        self._shape, self._across, self._letters = shape, across, letters
        self._down = math.ceil(len(shape.sizes) / across)
        self._columns = across * shape.cells
        self._margin = self._left = even(letters / 2)
        self._gap = even(letters / 2)  # between cells
        self._apart = even(letters / 1.2)  # between groups
        self._line = even(TextStyle(letters).height(1) + 1)
        self._title = self._lines(shape.title) + self._gap
        self._caption = self._lines(shape.caption)
        self._head = self._lines(shape.head)
        self._over = self._caption + even(letters / 6)  # so that letters do not touch the picture

    def _lines(self, height: int) -> int:
        return max(self._line, even(height + 1))

    def arranged(self, width: float) -> Layout:
        """Return the page of a width, or a narrower one if it would be too high."""
        self._cell = self._fitting(width)
        cell_width, height = self._cell
        self._group = self._shape.cells * (cell_width + self._gap) - self._gap
        page = self.beside + self._columns * cell_width, self._above + self._down * height
        spare = even(width) - page[0]
        if 0 < spare <= 4 * self._columns:  # what rounding has left
            page = page[0] + spare, page[1]
            self._left += spare // 4 * 2
        starts = [self._start(number) for number in range(len(self._shape.sizes))]
        return Layout(
            size=page,
            letters=self._letters,
            title=Box(self._left, self._margin, page[0] - 2 * self._left, self._title - self._gap),
            heads=self._headings(page[0]),
            captions=[Box(left, top, self._group, self._caption) for left, top in starts],
            cells=[self._cells(start, *size) for start, size in zip(starts, self._shape.sizes, strict=True)],
        )

    def _fitting(self, width: float) -> tuple[int, int]:
        """Return the width and height of a cell."""
        aspect = self._shape.aspect
        across = even((width - self.beside) / self._columns)
        down = min(even(across / aspect), even((HIGHEST - self._above) / self._down))
        across = min(across, even(down * aspect + 1))
        if min(across, down) < _SMALLEST:
            raise ConfigError(
                f"found {self._columns} columns and {self._down} rows of pictures on a page of {round(width)} pixels; "
                f"expected room for pictures of at least {_SMALLEST} x {_SMALLEST} pixels; choose fewer videos or "
                "words, or a larger width"
            )
        return across, down

    @property
    def beside(self) -> int:
        """Pixels of a row that belong to no cell."""
        between = (self._across - 1) * self._apart + self._across * (self._shape.cells - 1) * self._gap
        return 2 * self._margin + between

    @property
    def _above(self) -> int:
        """The pixels of a column that belong to no cell."""
        between = self._down * self._over + (self._down - 1) * self._apart
        return 2 * self._margin + self._title + self._above_groups + between

    @property
    def _above_groups(self) -> int:
        """Height of the headings of columns, and of the gap below them."""
        return self._head + self._gap if self._shape.heads else 0

    def _start(self, number: int) -> tuple[int, int]:
        """Return the left and top of a group."""
        row, column = divmod(number, self._across)
        top = self._margin + self._title + self._above_groups
        return (
            self._left + column * (self._group + self._apart),
            top + row * (self._over + self._cell[1] + self._apart),
        )

    def _cells(self, start: tuple[int, int], width: float, height: float) -> list[Box]:
        """Return the places of the pictures of a group, each in the middle of its cell."""
        left, top = start
        (across, down) = self._cell
        own = min(across, even(down * width / height + 1))
        left += (across - own) // 4 * 2
        step = across + self._gap
        return [Box(left + one * step, top + self._over, own, down) for one in range(self._shape.cells)]

    def _headings(self, page: int) -> list[Box]:
        if not self._shape.heads:
            return []
        top = self._margin + self._title
        if self._shape.cells == 1:
            return [Box(self._left, top, page - 2 * self._left, self._head)]
        across, gap = self._cell[0], self._gap
        width = across - self._letters // 2  # so that the end of one is not read with the beginning of the next
        starts = [self._start(column)[0] for column in range(self._across)]
        return [
            Box(left + one * (across + gap), top, width, self._head)
            for left in starts
            for one in range(self._shape.cells)
        ]


def even(size: float) -> int:
    """Return the even number at or below a size; at least 2."""
    return max(2, int(size) // 2 * 2)
