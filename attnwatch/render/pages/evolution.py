"""The page of the evolution over the denoising steps: a large picture above a row of small ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from attnwatch.render.boxes import Box, even
from attnwatch.render.pages.bars import draw_in_line
from attnwatch.render.pages.canvas import Canvas
from attnwatch.render.pages.colour_bar import ColourBar
from attnwatch.render.pages.counter import Counter, Number
from attnwatch.render.pages.lines import TextStyle, squeeze_of
from attnwatch.render.pages.page import Page

_TEXT, _SMALLEST_TEXT = 0.032, 9  # size of the text: share of the picture's shorter side, and pixels
_TITLE, _TITLE_LINES = 1.12, 2
_MARGIN, _GAP = 0.7, 0.4  # em


def evolution_page(
    size: tuple[int, int],
    pixel_aspect: Fraction,
    title: str,
    labels: tuple[str, Sequence[str]],
    *,
    last: int,
    bar: ColourBar | None = None,
) -> Page:
    """Draw a page with a box for a large picture and, below it, boxes for small ones, all with labels.

    Args:
        size: width and height of the large picture in pixels.
        pixel_aspect: width of a pixel divided by its height; letters are drawn so that they look as usual.
        title: what is shown.
        labels: below the large picture, and below each of the small ones; those that would overlap are left out.
        last: the last step, for the counter, whose number is named `step`.
        bar: the colour bar; None for none.

    Returns:
        A page whose first box is that of the large picture.

    """
    large, small = labels
    shape = _Shape.of(size, pixel_aspect, len(small))
    heading = TextStyle(shape.text.size * _TITLE, shape.text.squeeze)
    lines = heading.fitted(title, size[0], _TITLE_LINES)
    top = even(shape.margin + heading.height(len(lines)) + shape.gap)
    below = even(top + size[1] + shape.row)
    boxes = [Box(shape.side, top, *size)]
    boxes += [Box(shape.side + column * shape.pitch, below, *shape.small) for column in range(len(small))]
    foot = below + shape.small[1] + shape.row
    canvas = Canvas(size[0] + 2 * shape.side, even(foot + shape.row + shape.margin))
    for index, line in enumerate(lines):
        canvas.write(line, shape.side, shape.margin + heading.ascent + index * heading.leading, heading)
    _label(canvas, boxes[:1], [large], shape)
    _label(canvas, boxes[1:], small, shape)
    baseline = foot + shape.gap + shape.text.ascent
    number = Number("step", last)
    counters = (Counter(form, shape.text) for form in (("step ", number, f" / {last}"), (number,)))
    counter = next((counter for counter in counters if counter.width <= size[0]), None)
    room = size[0] - 2 * shape.side
    if counter is not None:
        counter.draw(canvas, boxes[0].right - counter.width, baseline)
        room -= counter.width
    fixed = [] if bar is None else draw_in_line(canvas, bar, shape.text, (shape.side, baseline), room)
    return Page(canvas, boxes, counter, fixed)


@dataclass(frozen=True)
class _Shape:
    """Measures of a page, in pixels.

    Attributes:
        text: how labels are written.
        small: width and height of the small pictures.
        side: columns on both sides of the large picture.
        pitch: columns from one small picture to the next.

    """

    text: TextStyle
    small: tuple[int, int]
    side: int
    pitch: int

    @classmethod
    def of(cls, size: tuple[int, int], pixel_aspect: Fraction, columns: int) -> "_Shape":
        shorter = min(float(size[0] * pixel_aspect), size[1])
        text = TextStyle(max(_SMALLEST_TEXT, round(_TEXT * shorter)), squeeze_of(pixel_aspect))
        side = max(2, even(min(_MARGIN * text.size * text.squeeze, size[0] / (2 * columns))))
        width = max(2, (size[0] - (columns - 1) * side) // columns // 2 * 2)
        height = max(2, even(width * size[1] / size[0]))
        return cls(text, (width, height), side, width + side)

    @property
    def margin(self) -> int:
        """Rows above the title and below the last line."""
        return round(_MARGIN * self.text.size)

    @property
    def gap(self) -> int:
        """Rows between a picture and its text."""
        return round(_GAP * self.text.size)

    @property
    def row(self) -> int:
        """Rows that a line of text takes below a picture, an even number."""
        return even(self.text.height(1) + 2 * self.gap)


def _label(canvas: Canvas, boxes: Sequence[Box], labels: Sequence[str], shape: _Shape) -> None:
    """Write labels below boxes, without those that would reach into the one before."""
    end = 0
    for box, label in zip(boxes, labels, strict=True):
        start = box.left + (box.width - shape.text.width(label)) // 2
        if start >= end and start + shape.text.width(label) <= canvas.size[0]:
            canvas.write(label, start, box.bottom + shape.gap + shape.text.ascent, shape.text)
            end = start + shape.text.width(label) + shape.side
