"""Figures: a picture as large as the page allows, with a title, a colour bar and a counter."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from attnwatch.render.boxes import Box, even
from attnwatch.render.pages.canvas import Canvas
from attnwatch.render.pages.colour_bar import ColourBar
from attnwatch.render.pages.counter import Counter, Form
from attnwatch.render.pages.layouts import Layout, Parts, fit, layouts
from attnwatch.render.pages.lines import TextStyle
from attnwatch.render.pages.page import Page

DPI = 100

_TEXT, _SMALLEST_TEXT = 0.03, 9  # size of the text: share of the page's shorter side, and pixels
_TITLE_LINES = 3
_PREFERENCE = 1.05  # a less usual layout has to make the picture so much larger
_WORTHWHILE = 0.5  # share of the largest possible picture, below which texts are left out


def figure_size(size: tuple[float, float]) -> tuple[int, int]:
    """Return the width and height in pixels, both even, of a figure of a size in inches."""
    width, height = (even(side * DPI) for side in size)
    return width, height


def figure_page(
    size: tuple[float, float], title: str, aspect: float, bar: ColourBar | None = None, forms: Sequence[Form] = ()
) -> Page:
    """Draw the figure around the pictures of a word.

    The picture is as large as the size allows, with the texts above and below it, or beside it if that makes it larger.
    What would take more than half of the picture from a small figure is left out: first further lines of the title,
    then the colour bar, then the counter, then the title.

    Args:
        size: width and height in inches.
        title: what the picture shows.
        aspect: width of the picture divided by its height.
        bar: the colour bar; None for none.
        forms: forms of the counter, the longest first, of which the first that fits is taken; none for no counter.

    Returns:
        A page with one box. Its text grows with the shorter side of the page.

    """
    page = figure_size(size)
    text = TextStyle(max(_SMALLEST_TEXT, _TEXT * min(page)))
    counters = [Counter(form, text) for form in forms]
    fitting = [counter for counter in counters if counter.width <= page[0] - 2 * text.size]
    alone = fit(aspect, *page)
    for parts in _simpler(Parts(title, _TITLE_LINES, bar, next(iter(fitting), None), text)):
        best = _best(layouts(page, aspect, parts))
        if best is not None and _area(best) >= _WORTHWHILE * alone[0] * alone[1]:
            return best.drawn(page, parts)
    left, top = (even((whole - side) / 2) for whole, side in zip(page, alone, strict=True))
    return Page(Canvas(*page), [Box(left, top, *alone)])


def _simpler(parts: Parts) -> Iterator[Parts]:
    """Yield the parts, then fewer and fewer of them."""
    yield parts
    yield replace(parts, lines=1)
    yield replace(parts, lines=1, bar=None)
    yield replace(parts, lines=1, bar=None, counter=None)


def _best(candidates: list[Layout]) -> Layout | None:
    """Return the layout with the largest picture, the most usual one if others are hardly better."""
    best = None
    for layout in candidates:
        if best is None or _area(layout) > _PREFERENCE * _area(best):
            best = layout
    return best


def _area(layout: Layout) -> int:
    return layout.picture.width * layout.picture.height
