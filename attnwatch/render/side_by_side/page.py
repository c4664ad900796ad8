"""Draws what stands around the pictures: texts, colour bars and running seconds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from attnwatch.render.boxes import Box
from attnwatch.render.maps import Scale
from attnwatch.render.pages.bars import draw_in_line
from attnwatch.render.pages.canvas import Canvas
from attnwatch.render.pages.colour_bar import ColourBar, Fixed
from attnwatch.render.pages.counter import Counter, seconds_form
from attnwatch.render.pages.lines import TextStyle
from attnwatch.render.pages.page import Page

_EMPTY = 220  # luma of a cell without a picture
_SHORTEST = 6  # em; what is kept free for a colour bar, beside the texts at its ends

BarOf = Callable[[Scale], ColourBar | None]
"""Returns the colour bar of a scale; None if none is wanted."""


@dataclass(frozen=True)
class Label:
    """A text at the bottom of a box, followed by a colour bar if there is one: in the same line, or in one below.

    Attributes:
        box: the box, which neither leaves.
        text: the text.
        scale: the scale that the colour bar shows.
        is_gap: whether the box is an empty cell, in the middle of which the text says why.

    """

    box: Box
    text: str
    scale: Scale | None = None
    is_gap: bool = False


@dataclass(frozen=True)
class Clock:
    """The running seconds at the right end of a line.

    Attributes:
        right: the column at which it ends.
        top: the row at which the line begins.
        last: the largest time in seconds.

    """

    right: int
    top: int
    last: float

    def width(self, style: TextStyle) -> int:
        """Return the columns that it takes."""
        return Counter(seconds_form(self.last), style).width


def height_of(text: str, width: int, style: TextStyle, lines: int) -> int:
    """Return the height in pixels of a text in lines of a width in pixels; more than so many lines are cut."""
    return style.height(len(style.fitted(text, width, lines)))


def drawn(
    size: tuple[int, int],
    labels: Sequence[Label],
    clock: Clock,
    style: TextStyle,
    *,
    pictures: Sequence[Box],
    bar: BarOf,
) -> Page:
    """Draw a page with labels and a clock; it takes pictures, and a number named `seconds`.

    Args:
        size: width and height in pixels.
        labels: the labels; each text is cut so that it stays within its box.
        clock: the place of the clock.
        style: how texts look.
        pictures: places of the pictures.
        bar: returns the colour bar of a scale; None for none.

    """
    canvas = Canvas(*size)
    fixed = [one for label in labels for one in _draw(canvas, label, style, bar)]
    counter = Counter(seconds_form(clock.last), style)
    counter.draw(canvas, clock.right - counter.width, clock.top + style.ascent)
    return Page(canvas, pictures, counter, fixed)


def _draw(canvas: Canvas, label: Label, style: TextStyle, bar: BarOf) -> list[Fixed]:
    """Draw a label; return the picture of its colour bar, if it has one."""
    box = label.box
    if label.is_gap:
        canvas.fill(box, _EMPTY)
        lines = _fitted(label.text, Box(box.left, box.top, box.width - round(style.size), box.height), style)
        bottom = box.bottom - (box.height - style.height(len(lines))) // 2
        for baseline, line in _placed(lines, bottom, style):
            canvas.write(line, box.left + box.width // 2, baseline, style, "centre")
        return []
    shown = None if label.scale is None else bar(label.scale)
    if shown is None:
        _write(canvas, label.text, box, style)
        return []
    last = Box(box.left, box.bottom - style.height(1), box.width, style.height(1))
    if label.text and box.height >= style.height(2):  # one of the labels beside it needs them
        _write(canvas, label.text, Box(box.left, box.top, box.width, last.bottom - style.leading - box.top), style)
        start = box.left
    else:
        room = max(box.width // 4, box.width - _least(shown, style) - round(style.size))
        start = box.left + _write(canvas, label.text, Box(box.left, box.top, room, box.height), style)
    return draw_in_line(canvas, shown, style, (start, last.bottom - style.descent), box.right - start)


def _write(canvas: Canvas, text: str, box: Box, style: TextStyle) -> int:
    """Write a text at the bottom of a box; return the columns that it takes, with a space after it."""
    lines = _fitted(text, box, style)
    for baseline, line in _placed(lines, box.bottom, style):
        canvas.write(line, box.left, baseline, style)
    return max((style.width(line) + round(style.size) for line in lines), default=0)


def width_of(text: str, bar: ColourBar, style: TextStyle) -> int:
    """Return the columns that a text and a colour bar in the same line take at least."""
    return style.width(text) + round(style.size) + _least(bar, style)


def _least(bar: ColourBar, style: TextStyle) -> int:
    """Return the columns that a colour bar takes at least, with the texts at its ends."""
    return sum(map(style.width, bar.end_numbers)) + round(_SHORTEST * style.size)


def _fitted(text: str, box: Box, style: TextStyle) -> list[str]:
    """Return a text in as many lines as a box holds."""
    return style.fitted(text, box.width, 1 + max(0, box.height - style.height(1)) // style.leading)


def _placed(lines: Sequence[str], bottom: int, style: TextStyle) -> list[tuple[int, str]]:
    """Return the lines that end above a row, each with its baseline."""
    last = bottom - style.descent
    return [(last - (len(lines) - 1 - number) * style.leading, line) for number, line in enumerate(lines)]
