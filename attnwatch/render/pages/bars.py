"""Colour bars with their values: upright beside a map, level below it, or in a line of text."""

from attnwatch.render.boxes import Box, even
from attnwatch.render.pages.canvas import Canvas
from attnwatch.render.pages.colour_bar import ColourBar, Fixed, Label, draw_bar
from attnwatch.render.pages.lines import TextStyle

_THICKNESS, _TICK, _GAP = 0.9, 0.3, 0.3  # em
_FEWEST, _MOST = 2, 7  # values beside a bar
_LINES_PER_VALUE = 3
_TICK_WIDTH = 0.07  # em
_LENGTH, _SHORTEST, _SLIM, _SPACE = 12, 3, 0.7, 0.5  # em; of a bar in a line of text, and around it


class Upright:
    """A colour bar whose attention rises upwards, with values and a label on its right.

    Args:
        bar: what it shows.
        style: how values and label look.
        height: of the bar in pixels, even.

    Attributes:
        width: columns that it takes, with its texts.
        is_legible: whether it is high enough for two values.

    """

    def __init__(self, bar: ColourBar, style: TextStyle, height: int) -> None:
        self._bar, self._style, self._height = bar, style, height
        self._ticks = bar.ticks(_within(height // (_LINES_PER_VALUE * style.leading)))
        self._label = bar.label(style, height)
        self._values = _thickness(style) + _pixels(_TICK, style) + _pixels(_GAP, style)
        self._beside = self._values + max(style.width(text) for _, text in self._ticks) + _pixels(_GAP, style)
        self.is_legible = height >= _FEWEST * style.leading
        self.width = self._beside + (style.ascent + style.descent if self._label else 0)

    def draw(self, canvas: Canvas, left: int, top: int) -> Fixed:
        """Draw it with its upper left corner at an even place; return the picture of the bar."""
        style, box = self._style, Box(left, top, _thickness(self._style), self._height)
        for share, text in self._ticks:
            y = box.bottom - round(share * box.height)
            canvas.fill(Box(box.right, y, _pixels(_TICK, style), _pixels(_TICK_WIDTH, style)))
            digits = style.line("0").above
            baseline = min(max(y + digits // 2, box.top + digits), box.bottom)  # so that none sticks out
            canvas.write(text, left + self._values, baseline, style)
        if self._label:
            canvas.write_upwards(self._label, left + self._beside, top + self._height // 2, style)
        return draw_bar(canvas, box, self._bar, style, upwards=True)


class Level:
    """A colour bar whose attention rises to the right, with values below it.

    Args:
        bar: what it shows.
        style: how values look.
        width: of the bar in pixels, even.

    Attributes:
        height: rows that it takes, with its values.
        is_legible: whether it is wide enough for its values.

    """

    def __init__(self, bar: ColourBar, style: TextStyle, width: int) -> None:
        self._bar, self._style, self._width = bar, style, width
        self._below = _thickness(style) + _pixels(_TICK, style)
        self.height = self._below + style.height(1)
        for most in range(_MOST, _FEWEST - 1, -1):
            self._values = self._placed(bar.ticks(most))
            self.is_legible = self._is_spaced()
            if self.is_legible:
                break

    def draw(self, canvas: Canvas, left: int, top: int) -> Fixed:
        """Draw it with its upper left corner at an even place; return the picture of the bar."""
        style, box = self._style, Box(left, top, self._width, _thickness(self._style))
        for x, start, text in self._values:
            canvas.fill(Box(left + x, box.bottom, _pixels(_TICK_WIDTH, style), _pixels(_TICK, style)))
            canvas.write(text, left + start, top + self._below + style.ascent, style)
        return draw_bar(canvas, box, self._bar, style, upwards=False)

    def _placed(self, ticks: list[tuple[float, str]]) -> list[tuple[int, int, str]]:
        """Return for each value the columns of its tick and of its text, which does not stick out, and the text."""
        placed = []
        for share, text in ticks:
            x, width = round(share * self._width), self._style.width(text)
            placed.append((x, min(max(x - width // 2, 0), self._width - width), text))
        return placed

    def _is_spaced(self) -> bool:
        ends = [start + self._style.width(text) for _, start, text in self._values]
        starts = [start for _, start, _ in self._values[1:]]
        apart = _pixels(2 * _GAP, self._style)
        return all(start - end >= apart for end, start in zip(ends[:-1], starts, strict=True))


def draw_in_line(canvas: Canvas, bar: ColourBar, style: TextStyle, place: tuple[int, int], room: int) -> list[Fixed]:
    """Draw a line of text with a colour bar between the ends of its scale, and its label if there is room.

    Args:
        canvas: the page.
        bar: what it shows.
        style: how the texts look.
        place: the column at which the line starts, and its baseline.
        room: columns that it may take.

    Returns:
        The picture of the bar with its place; none, and nothing is drawn, if there is too little room.

    """
    left, baseline = place
    low, high = bar.end_numbers
    gap, before, after = _across(_SPACE, style), style.width(low), style.width(high)
    length = min(even(_across(_LENGTH, style)), (room - before - after - 2 * gap - 1) // 2 * 2)
    if length < _across(_SHORTEST, style):
        return []
    thickness = max(2, even(_SLIM * style.size))
    x = even(left + before + gap)
    box = Box(x, even(baseline - (style.line("0").above + thickness) / 2), length, thickness)
    canvas.write(low, x - gap - before, baseline, style)
    canvas.write(high, box.right + gap, baseline, style)
    start = box.right + 2 * gap + after
    wordings = (text for text in map(Label.text, bar.labels) if start + style.width(text) <= left + room)
    canvas.write(next(wordings, ""), start, baseline, style)
    return [draw_bar(canvas, box, bar, style, upwards=False)]


def _within(values: int) -> int:
    return min(max(values, _FEWEST), _MOST)


def _pixels(ems: float, style: TextStyle) -> int:
    return max(1, round(ems * style.size))


def _across(ems: float, style: TextStyle) -> int:
    return max(1, round(ems * style.size * style.squeeze))


def _thickness(style: TextStyle) -> int:
    return max(4, even(_THICKNESS * style.size))
