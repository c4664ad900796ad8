"""Draws what stands around the pictures: texts, colour bars and a running clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
import numpy.typing as npt

from attnwatch.render.colormap import UInt8Array, colormap_rgb
from attnwatch.render.compose import pixels
from attnwatch.render.figure import DPI, Box
from attnwatch.render.text.fitting import fit
from attnwatch.render.text.lettering import Align, Lettering
from attnwatch.render.text.measuring import POINTS_PER_INCH, Font, extent
from attnwatch.settings import Visualization

_INK, _INK_LUMA = "#222222", 45
_PAPER_LUMA = 235
_EMPTY = 0.93  # grey of a cell without a picture
_SHORTEST, _LONGEST = 2, 8  # of a colour bar, by the size of the letters


@dataclass(frozen=True)
class Bar:
    """A colour bar: the texts at its ends, and what it is about, where there is room for it."""

    low: str
    high: str
    about: str = ""


@dataclass(frozen=True)
class Label:
    """A text at the bottom of a box, with a colour bar at its right if there is one.

    Attributes:
        box: the box, which the text does not leave.
        text: the text.
        bar: the colour bar.
        align: at which side of the box the text is.
        is_gap: whether the box is an empty cell, in the middle of which the text says why.

    """

    box: Box
    text: str
    bar: Bar | None = None
    align: Align = "start"
    is_gap: bool = False


def height_of(text: str, width: int, letters: int, lines: int) -> int:
    """Return the height in pixels of a text in lines of a width in pixels; more than so many lines are cut."""
    return fit(text, _font(letters), width=width, lines=lines).height


def drawn(
    size: tuple[int, int], labels: Sequence[Label], letters: int, settings: Visualization
) -> npt.NDArray[np.float64]:
    """Return a white page with labels: `[height, width, 3]`, 0..1.

    Args:
        size: width and height in pixels.
        labels: the labels; each text is cut so that it stays within its box.
        letters: size of the letters in pixels.
        settings: the colormap, and whether it is inverted.

    """
    pen = _Pen(size, letters)
    strips = [pen.write(label) for label in labels]
    page = pen.page()
    colours = colormap_rgb(settings.colormap)[:: -1 if settings.invert else 1]
    for label, strip in zip(labels, strips, strict=True):
        if label.is_gap:
            page[_within(label.box)] *= _EMPTY
        if strip is not None:
            page[_within(strip)] = colours[np.rint(np.linspace(0, len(colours) - 1, strip.width)).astype(int)]
    return page


class _Pen:
    """Writes texts onto a page."""

    def __init__(self, size: tuple[int, int], letters: int) -> None:
        from matplotlib.figure import Figure  # noqa: PLC0415 - only for pages

        self._letters, self._font = letters, _font(letters)
        self._figure = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI)

    def write(self, label: Label) -> Box | None:
        """Write a label; return the place of its colour bar, if it has one."""
        box = label.box
        if label.is_gap:
            text = self._fitted(label.text, box.width - self._letters, box.height)
            text.draw(self._figure, box.left, _middle(box, text), width=box.width, align="center", color=_INK)
            return None
        strip, room = (None, box.width) if label.bar is None else self._bar(label, label.bar)
        text = self._fitted(label.text, room, box.height)
        text.draw(self._figure, box.left, _bottom(box, text), width=room, align=label.align, color=_INK)
        return strip

    def page(self) -> npt.NDArray[np.float64]:
        """Return what is written: `[height, width, 3]`, 0..1."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - only for pages

        canvas = FigureCanvasAgg(self._figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        rgb = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
        return rgb.astype(np.float64) / 255

    def _bar(self, label: Label, bar: Bar) -> tuple[Box, int]:
        """Write the ends of a colour bar; return its place, and the width that is left for the text before it."""
        box, gap = label.box, self._letters // 2
        low, high, about = (self._fitted(text, box.width, box.height) for text in (bar.low, bar.high, bar.about))
        free = box.width - fit(label.text, self._font).width - low.width - high.width - 4 * gap
        length = min(max(_SHORTEST * self._letters, free), _LONGEST * self._letters)
        height = max(4, self._letters * 3 // 4)
        right = box.left + box.width - high.width
        strip = Box(right - gap - length, box.top + box.height - low.height // 2 - height // 2, length, height)
        left = strip.left - gap - low.width
        high.draw(self._figure, right, _bottom(box, high), color=_INK)
        low.draw(self._figure, left, _bottom(box, low), color=_INK)
        if about.width and free - length >= about.width + gap:
            left -= about.width + gap
            about.draw(self._figure, left, _bottom(box, about), color=_INK)
        return strip, left - 2 * gap - box.left

    def _fitted(self, text: str, width: int, height: int) -> Lettering:
        return fit(text, self._font, width=width, height=height)


def _middle(box: Box, text: Lettering) -> int:
    return box.top + (box.height - text.height) // 2


def _bottom(box: Box, text: Lettering) -> int:
    return box.top + box.height - text.height


def _within(box: Box) -> tuple[slice, slice]:
    return slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)


def _font(letters: int) -> Font:
    return Font(letters * POINTS_PER_INCH / DPI, DPI)


class Clock:
    """The running seconds at the upper right of a box, in digits that keep their places.

    Args:
        box: the box.
        letters: size of the letters in pixels.
        last: the last time in seconds.

    Attributes:
        left: where it begins.

    """

    def __init__(self, box: Box, letters: int, last: float) -> None:
        self._letters, self._top = letters, box.top
        self._longest = len(_seconds(last))
        self._right = box.left + box.width
        self.left = self._right - sum(_advance(character, letters) for character in _seconds(last))

    def show(self, frame: av.VideoFrame, seconds: Fraction) -> None:
        """Write a time onto a page."""
        luma, left = pixels(frame.planes[0]), self._right
        for character in reversed(_seconds(float(seconds))[-self._longest :]):
            left -= _advance(character, self._letters)
            glyph = _glyph(character, self._letters)
            place = luma[self._top : self._top + len(glyph), left : left + glyph.shape[1]]
            np.minimum(place, glyph[: len(place), : place.shape[1]], out=place)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s"


@lru_cache(maxsize=64)
def _advance(character: str, letters: int) -> int:
    """Return the width of a character of the clock; all digits have the same."""
    return round(extent("0" if character.isdigit() else character, _font(letters), ()).width)


@lru_cache(maxsize=64)
def _glyph(character: str, letters: int) -> UInt8Array:
    """Return a character, dark on white: luma, `[rows, columns]`."""
    ink = fit(character, _font(letters)).ink()
    return np.rint(_PAPER_LUMA - ink * (_PAPER_LUMA - _INK_LUMA)).astype(np.uint8)
