"""Where the parts of a figure are: texts above and below the picture, or all in a panel beside it."""

from dataclasses import dataclass

from attnwatch.render.boxes import Box, even
from attnwatch.render.pages.bars import Level, Upright
from attnwatch.render.pages.canvas import Canvas, Side
from attnwatch.render.pages.colour_bar import ColourBar
from attnwatch.render.pages.counter import Counter
from attnwatch.render.pages.lines import TextStyle
from attnwatch.render.pages.page import Page

_TITLE = 1.12  # size of the title as a share of that of other text
_EDGE, _GAP, _APART = 0.7, 0.5, 1.2  # em
_TRIES = 3  # to find the width of a colour bar of unknown height
_PANEL_LINES = 8  # of a title beside the picture, where they take nothing from it
_NARROWEST_PANEL, _WIDEST_PANEL, _LOWEST_BAR = 11, 26, 5  # em


CENTRE: Side = "centre"


@dataclass(frozen=True)
class Parts:
    """What a figure shows, apart from its picture.

    Attributes:
        title: text above the picture.
        lines: number of lines of the title, at most; 0 for no title.
        bar: the colour bar; None for none.
        counter: the numbers of each frame; None for none.
        text: how everything but the title is written.

    """

    title: str
    lines: int
    bar: ColourBar | None
    counter: Counter | None
    text: TextStyle

    @property
    def heading(self) -> TextStyle:
        """How the title is written."""
        return TextStyle(self.text.size * _TITLE, self.text.squeeze)

    def pixels(self, ems: float) -> int:
        """Return a length in pixels."""
        return round(ems * self.text.size)


@dataclass(frozen=True)
class Layout:
    """Where the parts of a figure are, in pixels.

    Attributes:
        picture: the box of the picture.
        title: lines of the title, the column that they are aligned to, their top, and the side that is aligned.
        bar: the colour bar, its left and its top; None for none.
        label: the label of a level bar, its left and its baseline; None for none.
        counter: left and baseline of the counter; None for none.

    """

    picture: Box
    title: tuple[list[str], int, int, Side]
    bar: tuple[Upright | Level, int, int] | None = None
    label: tuple[str, int, int] | None = None
    counter: tuple[int, int] | None = None

    def drawn(self, size: tuple[int, int], parts: Parts) -> Page:
        """Draw a page with the parts at their places."""
        canvas = Canvas(*size)
        lines, x, top, side = self.title
        for index, line in enumerate(lines):
            canvas.write(line, x, top + parts.heading.ascent + index * parts.heading.leading, parts.heading, side)
        fixed = []
        if self.bar is not None:
            bar, *place = self.bar
            fixed.append(bar.draw(canvas, *place))
        if self.label is not None:
            canvas.write(*self.label, parts.text)
        if self.counter is not None and parts.counter is not None:
            parts.counter.draw(canvas, *self.counter)
        return Page(canvas, [self.picture], None if self.counter is None else parts.counter, fixed)


def layouts(size: tuple[int, int], aspect: float, parts: Parts) -> list[Layout]:
    """Return the layouts for which a page of a size in pixels has room, the most usual one first."""
    page = _Page(size, aspect, parts)
    return [layout for layout in (page.with_upright_bar(), page.with_level_bar(), page.with_panel()) if layout]


def fit(aspect: float, width: int, height: int) -> tuple[int, int]:
    """Return the largest even width and height of an aspect that fit into a room."""
    inside = min(width, height * aspect)
    return max(2, int(inside) // 2 * 2), max(2, int(inside / aspect) // 2 * 2)


@dataclass(frozen=True)
class _Page:
    """A page in pixels, and what is to be laid out on it."""

    size: tuple[int, int]
    aspect: float
    parts: Parts

    def with_upright_bar(self) -> Layout | None:
        """Put the title above the picture, the bar on its right, and the counter below it."""
        parts, gap = self.parts, self.parts.pixels(_GAP)
        lines, above = self._title(self._width, parts.lines)
        below = self._row if parts.counter is not None else 0
        if parts.bar is None:
            picture, bar = self._picture(above, 0, below), None
        else:
            picture, bar = self._with_bar(parts.bar, above, below)
        if picture is None:
            return None
        placed = None if bar is None else (bar, even(picture.right + 2 * gap), picture.top)
        title = lines, self.size[0] // 2, picture.top - above, CENTRE
        return Layout(picture, title, placed, None, self._counter(picture, picture.bottom + below))

    def _with_bar(self, shown: ColourBar, above: int, below: int) -> tuple[Box | None, Upright | None]:
        """Return the largest picture with an upright bar of its height beside it."""
        height = self._height - above - below
        for _ in range(_TRIES):  # another height may have other values, which may be wider
            bar = Upright(shown, self.parts.text, max(2, height))
            picture = self._picture(above, 2 * self.parts.pixels(_GAP) + bar.width, below)
            if picture is None:
                break
            own = Upright(shown, self.parts.text, picture.height)
            if own.width <= bar.width:
                return (picture, own) if own.is_legible else (None, None)
            height = picture.height
        return None, None

    def with_level_bar(self) -> Layout | None:
        """Put the title above the picture, the bar below it, and the counter and the bar's label below that."""
        parts, gap = self.parts, self.parts.pixels(_GAP)
        if parts.bar is None:
            return None
        lines, above = self._title(self._width, parts.lines)
        taken = 2 * gap + Level(parts.bar, parts.text, self._width).height
        picture = self._picture(above, 0, taken + self._row)
        if picture is None:
            return None
        level = Level(parts.bar, parts.text, picture.width)
        if not level.is_legible:
            return None
        counter = self._counter(picture, picture.bottom + taken + self._row)
        room = picture.width if counter is None else counter[0] - picture.left - parts.pixels(_APART)
        label = parts.bar.label(parts.text, room)
        baseline = picture.bottom + taken + self._row - parts.text.descent
        title = lines, self.size[0] // 2, picture.top - above, CENTRE
        bar = level, picture.left, even(picture.bottom + 2 * gap)
        return Layout(picture, title, bar, (label, picture.left, baseline), counter)

    def with_panel(self) -> Layout | None:
        """Put everything on the right of the picture: the title, the bar and the counter, from top to bottom."""
        parts, apart = self.parts, self.parts.pixels(_APART)
        least = max(parts.pixels(_NARROWEST_PANEL), 0 if parts.counter is None else parts.counter.width)
        free = self._width - apart - fit(self.aspect, self._width, self._height)[0]
        panel = min(max(least, free), max(least, parts.pixels(_WIDEST_PANEL)))
        picture = self._picture(0, panel + apart, 0)
        if picture is None:
            return None
        left = even(picture.right + apart)
        lines, above = self._title(panel, _PANEL_LINES if parts.lines > 1 else parts.lines)
        counter = None if parts.counter is None else (left, picture.bottom - parts.text.descent)
        top = even(picture.top + above + (apart if lines else 0))
        bottom = picture.bottom if counter is None else picture.bottom - self._row - apart
        bar = None
        if parts.bar is not None:
            bar = Upright(parts.bar, parts.text, max(2, (bottom - top) // 2 * 2)), left, top
        if bottom - top < parts.pixels(_LOWEST_BAR) or (bar is not None and bar[0].width > panel):
            return None
        return Layout(picture, (lines, left, picture.top, "left"), bar, None, counter)

    @property
    def _width(self) -> int:
        return self.size[0] - 2 * self.parts.pixels(_EDGE)

    @property
    def _height(self) -> int:
        return self.size[1] - 2 * self.parts.pixels(_EDGE)

    @property
    def _row(self) -> int:
        """Rows of one line of text, with the gap above it."""
        return self.parts.pixels(_GAP) + self.parts.text.height(1)

    def _title(self, width: int, most: int) -> tuple[list[str], int]:
        """Return the lines of the title, and the rows that they take, with the gap below them."""
        heading = self.parts.heading
        lines = heading.fitted(self.parts.title, width, most) if most else []
        return lines, heading.height(len(lines)) + self.parts.pixels(_GAP) if lines else 0

    def _picture(self, above: int, beside: int, below: int) -> Box | None:
        """Return the largest picture that leaves room for the rest; all together are in the middle of the page."""
        room = self._width - beside, self._height - above - below
        if min(room) < self.parts.text.leading:
            return None
        width, height = fit(self.aspect, *room)
        top = (self.size[1] - above - height - below) // 2 + above
        return Box(even((self.size[0] - width - beside) / 2), even(top), width, height)

    def _counter(self, picture: Box, bottom: int) -> tuple[int, int] | None:
        """Return left and baseline of the counter: right-aligned with the picture, as far as the page allows that."""
        if self.parts.counter is None:
            return None
        left = max(picture.right - self.parts.counter.width, self.parts.pixels(_EDGE))
        return left, bottom - self.parts.text.descent
