"""Captions: a slim band below the picture with the word, or also the prompt, the seconds and the colour scale."""

from dataclasses import dataclass
from fractions import Fraction

from attnwatch.render.boxes import Box
from attnwatch.render.pages.bars import draw_in_line
from attnwatch.render.pages.canvas import Canvas
from attnwatch.render.pages.colour_bar import ColourBar, Fixed
from attnwatch.render.pages.counter import Counter, Form
from attnwatch.render.pages.lines import TextStyle, squeeze_of
from attnwatch.render.pages.page import Page

_TEXT, _SMALLEST_TEXT = 0.032, 9  # size of the text: share of the shorter side, and pixels
_PADDING, _APART = 0.35, 1.5  # em
_HIGHEST = 0.25  # share of the picture's height that a caption may add, unless it has but one line
_WIDE = 50  # em: pictures of that width have the prompt in one line, others in two

Size = tuple[int, int]


@dataclass(frozen=True)
class Full:
    """What a full caption says.

    Attributes:
        title: the word and the prompt.
        bar: the colour scale; None for none.
        form: the counter; None for none.

    """

    title: str
    bar: ColourBar | None = None
    form: Form | None = None


def caption_height(size: Size, pixel_aspect: Fraction, *, full: bool) -> int:
    """Return the rows, an even number, that a caption adds to pictures of a size, whatever it says.

    Args:
        size: width and height of the pictures in pixels.
        pixel_aspect: width of a pixel divided by its height.
        full: whether it tells more than the word.

    """
    return _Band.of(size, pixel_aspect, full=full).height


def caption_page(
    size: Size,
    pixel_aspect: Fraction,
    word: str,
    full: Full | None = None,
) -> Page:
    """Draw a page of pictures of a size with a band below them.

    Texts are as large as the picture's shorter side asks for. What does not fit is shortened, or left out: the bar's
    label, then the bar, then the counter. Where there is no room for several lines, only the word is left.

    Args:
        size: width and height of the pictures in pixels.
        pixel_aspect: width of a pixel divided by its height; letters are drawn so that they look as usual.
        word: the word, which is all that is said, unless
        full: there is more to say.

    """
    band = _Band.of(size, pixel_aspect, full=full is not None)
    canvas = Canvas(size[0], size[1] + band.height)
    title = word if full is None or not band.has_scale else full.title
    for index, line in enumerate(band.text.fitted(title, band.width, band.lines)):
        baseline = size[1] + band.padding + band.text.ascent + index * band.text.leading
        canvas.write(line, band.margin, baseline, band.text)
    fixed: list[Fixed] = []
    counter = None
    if full is not None and band.has_scale:
        counter, fixed = _last_row(canvas, band, full)
    return Page(canvas, [Box(0, 0, *size)], counter, fixed)


def _last_row(canvas: Canvas, band: "_Band", full: Full) -> tuple[Counter | None, list[Fixed]]:
    """Draw the colour scale and, on its right, the counter, as far as there is room."""
    baseline, room = canvas.size[1] - band.padding - band.text.descent, band.width
    counter = None if full.form is None else Counter(full.form, band.text)
    if counter is not None and counter.width > room:
        counter = None
    if counter is not None:
        counter.draw(canvas, canvas.size[0] - band.margin - counter.width, baseline)
        room -= counter.width + band.across(_APART)
    fixed = [] if full.bar is None else draw_in_line(canvas, full.bar, band.text, (band.margin, baseline), room)
    return counter, fixed


@dataclass(frozen=True)
class _Band:
    """The size of a caption.

    Attributes:
        text: how it is written.
        width: pixels from one margin to the other.
        lines: lines of the title.
        has_scale: whether there is a row for the colour scale below the title.

    """

    text: TextStyle
    width: int
    lines: int
    has_scale: bool

    @classmethod
    def of(cls, size: Size, pixel_aspect: Fraction, *, full: bool) -> "_Band":
        shown = float(size[0] * pixel_aspect)
        text = TextStyle(max(_SMALLEST_TEXT, round(_TEXT * min(shown, size[1]))), squeeze_of(pixel_aspect))
        width = size[0] - 2 * round(_PADDING * text.size * text.squeeze)
        shapes = [(1 if shown >= _WIDE * text.size else 2, True), (1, True)] if full else []
        for lines, has_scale in shapes:
            band = cls(text, width, lines, has_scale)
            if band.height <= _HIGHEST * size[1]:
                return band
        return cls(text, width, 1, has_scale=False)

    @property
    def padding(self) -> int:
        """Rows above the first line and below the last one."""
        return round(_PADDING * self.text.size)

    @property
    def margin(self) -> int:
        """Columns on both sides."""
        return self.across(_PADDING)

    @property
    def height(self) -> int:
        """Rows, an even number."""
        rows = self.lines + self.has_scale
        return (2 * self.padding + self.text.height(rows) + 1) // 2 * 2

    def across(self, ems: float) -> int:
        """Return a width in pixels."""
        return round(ems * self.text.size * self.text.squeeze)
