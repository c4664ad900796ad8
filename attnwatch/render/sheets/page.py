"""Draws a page of a contact sheet: header, headings, labels and pictures, each pixel of them where the layout says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave

from attnwatch.render.sheets.layout import MARGIN, Grid, PageLayout
from attnwatch.render.sheets.lettering import DPI, LABEL, NOTE, SMALL, TITLE, Words, fitted, height_of, words
from attnwatch.render.sheets.moments import Gap
from attnwatch.render.sheets.pictures import Picture

if TYPE_CHECKING:
    from matplotlib.text import Text

BAR = (720, 26)
"""Width and height of the colour bar in pixels."""

_NEAR = 6  # pixels between the colour bar and its texts
_SPACE = 24  # below the header
_EFFORT = 4  # of the compression: 6 saves 5 %, and takes more than twice the time


@dataclass(frozen=True)
class Bar:
    """The colour bar of a sheet.

    Attributes:
        picture: RGB, of the size `BAR`.
        ticks: what is written below its left end, its middle and its right end.
        label: what the colours mean.

    """

    picture: Picture
    ticks: tuple[str, str, str]
    label: str


@dataclass(frozen=True)
class Header:
    """What is above the rows of each page.

    Attributes:
        title: what the sheet is about.
        origin: batch and model.
        about: what a row is.
        bar: the colour bar.

    """

    title: str
    origin: str
    about: str
    bar: Bar


@dataclass(frozen=True)
class Strip:
    """The pictures of a row: RGB, `[height, width, 3]`, of each video in its own size; None where there is none.

    Attributes:
        pictures: from left to right.
        seconds: when each of them is shown.

    """

    pictures: tuple[Picture | None, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Item:
    """A text on a page: its left and top in pixels, and the width of the box in whose middle it stands, if any."""

    words: Words
    left: float
    top: float
    width: float | None = None


class Page:
    """A page to be drawn.

    Args:
        header: what is above the rows.
        number: of the page, from 1, and of how many.
        grid: the columns.
        layout: the rows.
        strips: pictures of each row, or why there are none.

    Attributes:
        size: width and height in pixels.

    """

    def __init__(
        self,
        header: Header,
        number: tuple[int, int],
        grid: Grid,
        layout: PageLayout,
        strips: Sequence[Strip | Gap],
    ) -> None:
        self._grid, self._layout, self._strips = grid, layout, strips
        self._items: list[Item] = []
        self._bar = (grid.width - MARGIN - BAR[0], 0, header.bar.picture)
        below = max(self._add_texts(header, number), self._add_bar(header.bar))
        self._body = self._add_columns(below + _SPACE)
        self._add_rows()
        self.size = (grid.width, self._body + layout.height + MARGIN)

    def pictures(self) -> Iterator[tuple[int, int, Picture]]:
        """Yield left and top of each picture, and the picture: first the colour bar, then those of the rows."""
        yield self._bar
        width, height = self._grid.cell
        for place, strip in zip(self._layout.places, self._strips, strict=True):
            if isinstance(strip, Gap):
                continue
            for left, picture in zip(self._grid.columns, strip.pictures, strict=True):
                if picture is not None:
                    shown = picture[:height, :width]
                    rows, columns = shown.shape[:2]
                    yield left + (width - columns) // 2, self._body + place.top + (height - rows) // 2, shown

    def drawn(self) -> "tuple[FigureCanvasAgg, list[Text]]":
        """Return a canvas with all texts, and the texts."""
        width, height = self.size
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
        texts = []
        for item in self._items:
            align: Literal["start", "center"] = "start" if item.width is None else "center"
            colour = item.words.style.colour
            texts += item.words.lettering.draw(figure, item.left, item.top, width=item.width, align=align, color=colour)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        return canvas, texts

    def write(self, file: BinaryIO) -> None:
        """Write the page as a PNG file."""
        canvas, _ = self.drawn()
        pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        for left, top, picture in self.pictures():
            height, width = picture.shape[:2]
            pixels[top : top + height, left : left + width, :3] = picture
        imsave(file, pixels, format="png", dpi=DPI, pil_kwargs={"compress_level": _EFFORT})

    def _add(self, found: Words, left: float, top: int, width: float | None = None) -> int:
        """Add a text; return where it ends."""
        self._items.append(Item(found, left, top, width))
        return top + found.height

    def _add_texts(self, header: Header, number: tuple[int, int]) -> int:
        page, pages = number
        width = self._grid.text_width - BAR[0] - 2 * MARGIN
        about = header.about if pages == 1 else f"{header.about} Page {page} of {pages}."
        top = self._add(words(header.title, TITLE, width, 2), MARGIN, MARGIN) + _NEAR
        top = self._add(words(header.origin, LABEL, width, 3), MARGIN, top) + _NEAR
        return self._add(words(about, NOTE, width, 6), MARGIN, top)

    def _add_bar(self, bar: Bar) -> int:
        left, _, picture = self._bar
        top = self._add(words(bar.label, LABEL, BAR[0], 2), left, MARGIN + _NEAR) + _NEAR
        self._bar = (left, top, picture)
        low, middle, high = (words(tick, SMALL) for tick in bar.ticks)
        top += BAR[1] + _NEAR
        self._add(low, left, top)
        self._add(middle, left, top, BAR[0])
        return self._add(high, left + BAR[0] - high.width, top)

    def _add_columns(self, top: int) -> int:
        """Add the names of the columns; return where the rows begin."""
        width = self._grid.cell[0]
        names = (*self._grid.frames, *_moments([s for s in self._strips if isinstance(s, Strip)], self._grid.maps))
        found = [words(name, SMALL, width) for name in names]
        bottoms = [self._add(name, left, top, width) for name, left in zip(found, self._grid.columns, strict=True)]
        return max(bottoms) + 2 * _NEAR

    def _add_rows(self) -> None:
        for heading in self._layout.headings:
            top = self._body + heading.top
            for text in heading.texts:
                top = self._add(text, MARGIN, top)
        start, height = self._grid.columns[0], self._grid.cell[1]
        for place, strip in zip(self._layout.places, self._strips, strict=True):
            top = self._body + place.top
            below = top + (height - height_of(place.label)) // 2
            for text in place.label:
                below = self._add(text, MARGIN, below)
            if isinstance(strip, Gap):
                reason = fitted(strip.reason, NOTE, self._grid.width - MARGIN - start, height)
                self._add(reason, start, top + (height - reason.height) // 2)


def _moments(strips: Sequence[Strip], number: int) -> list[str]:
    """Return the names of the columns of maps: times, if they are the same in all rows, else shares of the length."""
    times = {tuple(f"{second:.1f} s" for second in strip.seconds[-number:]) for strip in strips}
    if len(times) == 1:
        return list(times.pop())
    inside = [f"after {share:.0%}" for share in np.linspace(0, 1, number)[1:-1]]
    return ["first frame", *inside, "last frame"]
