"""Numbers that change from frame to frame, in tabular figures: in cells of equal width, on one baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attnwatch.render.boxes import Box
from attnwatch.render.pages.canvas import Canvas, stamp
from attnwatch.render.pages.lines import TextStyle, UInt8Array

_DIGITS = "0123456789"


@dataclass(frozen=True)
class Number:
    """The place of a number.

    Attributes:
        name: what it is, such as `seconds`.
        largest: the largest value, which says how many digits there are.
        decimals: digits after the point.

    """

    name: str
    largest: float
    decimals: int = 0

    def text(self, value: float) -> str:
        """Return a value, which is at most the largest, padded with blanks to the width of that."""
        widest = f"{self.largest:.{self.decimals}f}"
        return f"{min(value, self.largest):{len(widest)}.{self.decimals}f}"


Form = Sequence[str | Number]
"""Text with places for numbers."""


def frame_form(frames: int, seconds: float) -> Form:
    """Return the form `frame 12 / 81   0.75 s`, given the number of frames and the time of the last one."""
    return ("frame ", Number("frame", frames), f" / {frames}   ", *seconds_form(seconds))


def seconds_form(seconds: float) -> Form:
    """Return the form `0.75 s`, given the largest time."""
    return (Number("seconds", seconds, decimals=2), " s")


class Counter:
    """A line of text with numbers that change. Draw it on a page once, then write the numbers into each frame.

    Args:
        form: the text.
        style: how it looks.

    Attributes:
        width: columns that it takes.
        cells: once it is drawn, each number with the boxes of its characters.

    """

    def __init__(self, form: Form, style: TextStyle) -> None:
        self._form = tuple(form)
        self._style = style
        self._baseline = 0
        self.width = sum(_width(part, style) for part in form)
        self.cells: list[tuple[Number, list[Box]]] = []

    def draw(self, canvas: Canvas, left: int, baseline: int) -> None:
        """Write what does not change, and remember where the numbers belong."""
        self._baseline, self.cells = baseline, []
        for part in self._form:
            if isinstance(part, Number):
                self.cells.append((part, self._row(part, left)))
            elif part.strip():
                blanks = len(part) - len(part.lstrip())
                canvas.write(part.strip(), left + blanks * _blank(self._style), baseline, self._style)
            left += _width(part, self._style)

    def write(self, luma: UInt8Array, values: Mapping[str, float]) -> None:
        """Write the numbers of a frame, by name, into a copy of the page that it is drawn on."""
        for number, cells in self.cells:
            for character, cell in zip(number.text(values[number.name]), cells, strict=True):
                if character != " ":
                    line = self._style.line(character)
                    stamp(luma, line.mask, cell.left + line.left, self._baseline - line.above)

    def _row(self, number: Number, left: int) -> list[Box]:
        """Return the boxes of the characters of a number, from its left."""
        cells, top = [], self._baseline - self._style.ascent
        for character in number.text(number.largest):
            cells.append(Box(left, top, _cell(character, self._style), self._style.height(1)))
            left = cells[-1].right
        return cells


def _width(part: str | Number, style: TextStyle) -> int:
    if isinstance(part, Number):
        return sum(_cell(character, style) for character in part.text(part.largest))
    blanks = len(part) - len(part.strip())
    return style.line(part.strip()).advance + blanks * _blank(style)


def _cell(character: str, style: TextStyle) -> int:
    """Return the columns of a character of a number: the widest digit's for all digits, and for blanks."""
    if character != " " and not character.isdigit():
        return style.line(character).advance
    lines = map(style.line, _DIGITS)
    return max(max(line.advance, line.left + int(line.mask.shape[1])) for line in lines)


def _blank(style: TextStyle) -> int:
    return max(1, style.line("0").advance // 2)
