"""Lines of text as pictures, drawn and measured by the same fonts, in any script."""

import contextlib
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from attnwatch.render.text.fitting import fit
from attnwatch.render.text.fonts import families
from attnwatch.render.text.measuring import Font

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

UInt8Array = npt.NDArray[np.uint8]

_ASCENT, _DESCENT, _LEADING = 0.95, 0.3, 1.35  # shares of the size
_OPENING, _CLOSING = "“", "”"
_MOST_SQUEEZED = 4.0
_SUBPIXELS = 64  # per pixel, in FreeType
_PADDING = 1  # empty pixels above the glyphs in FreeType's picture
_SPARE = 1  # columns by which ink may be wider than measured, because it is on whole pixels
_DOTS = 72  # per inch, so that points are pixels


@dataclass(frozen=True)
class Line:
    """A drawn line of text, cropped to its ink.

    Attributes:
        mask: how much of each pixel is covered, `[rows, columns]`, 0..255; empty if there is nothing to see.
        left: columns from where the line starts to the first column of the mask.
        above: rows from the top of the mask to the baseline.
        advance: columns from where the line starts to where the next character would.

    """

    mask: UInt8Array
    left: int
    above: int
    advance: int


@dataclass(frozen=True)
class TextStyle:
    """A size of text.

    Attributes:
        size: height of an em in pixels.
        squeeze: width of the letters divided by their usual width, for pixels that are not square.

    """

    size: float
    squeeze: float = 1.0

    @property
    def ascent(self) -> int:
        """Rows above the baseline that a line takes."""
        return round(_ASCENT * self.size)

    @property
    def descent(self) -> int:
        """Rows below the baseline that a line takes."""
        return round(_DESCENT * self.size)

    @property
    def leading(self) -> int:
        """Rows from one baseline to the next."""
        return round(_LEADING * self.size)

    def line(self, text: str) -> Line:
        """Draw a line of text."""
        return _drawn(text, self.size, self.squeeze)

    def width(self, text: str) -> int:
        """Return the number of columns that a line of text takes, from where it starts, without drawing it."""
        return math.ceil(_advance(text, self.size) * self.squeeze) + _SPARE

    def height(self, lines: int) -> int:
        """Return the number of rows that some lines take."""
        return 0 if lines == 0 else self.ascent + (lines - 1) * self.leading + self.descent

    def fitted(self, text: str, width: int, lines: int) -> list[str]:
        """Return a text in at most `lines` lines of at most `width` pixels; none if not even a few letters fit."""
        return list(_fitted(text, self.size, (width - _SPARE) / self.squeeze, lines))


def squeeze_of(pixel_aspect: Fraction) -> float:
    """Return the squeeze of letters that look as usual on pixels that are not square; within what can be read."""
    return min(max(1 / float(pixel_aspect), 1 / _MOST_SQUEEZED), _MOST_SQUEEZED)


@contextlib.contextmanager
def missing_glyphs_allowed() -> Iterator[None]:
    """Suppress warnings about characters missing from the installed fonts; matplotlib draws them as boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


@lru_cache(maxsize=512)
def _drawn(text: str, size: float, squeeze: float) -> Line:
    font = _set(text, size)
    advance, height = (value / _SUBPIXELS for value in font.get_width_height())
    above = height - font.get_descent() / _SUBPIXELS
    start = font.get_bitmap_offset()[0] / _SUBPIXELS
    font.draw_glyphs_to_bitmap(antialiased=True)
    mask = _squeezed(np.array(font.get_image(), np.uint8), squeeze)
    return _cropped(mask, round(start * squeeze), math.floor(above) + _PADDING, round(advance * squeeze))


@lru_cache(maxsize=256)
def _fitted(text: str, size: float, width: float, lines: int) -> tuple[str, ...]:
    font = Font(size, _DOTS)
    room = width + 2 * font.overhang  # which `fit` keeps free, beside the room that letters have of their own
    lettering = fit(text, font, width=room, lines=lines, balanced=True)
    if not lettering.is_cut or not text.endswith(_CLOSING):
        return lettering.lines
    # A quotation whose end is left out is closed nevertheless.
    narrower = fit(text, font, width=room - _advance(_CLOSING, size), lines=lines).lines
    said = "".join(narrower)
    return (*narrower[:-1], narrower[-1] + _CLOSING) if said.count(_OPENING) > said.count(_CLOSING) else lettering.lines


@lru_cache(maxsize=1 << 14)
def _advance(text: str, size: float) -> float:
    """Return the width of a line in pixels."""
    return float(_set(text, size).get_width_height()[0]) / _SUBPIXELS


def _set(text: str, size: float) -> "FT2Font":
    """Return a font with a line of text laid out, which the next call changes."""
    from matplotlib.backends.backend_agg import get_hinting_flag  # noqa: PLC0415 - only where text is drawn
    from matplotlib.font_manager import FontProperties, findfont, get_font  # noqa: PLC0415

    font = get_font([findfont(FontProperties(family=[family])) for family in families(text)])
    font.clear()
    font.set_size(size, _DOTS)
    with missing_glyphs_allowed():
        font.set_text(text, 0.0, flags=get_hinting_flag())  # type: ignore[no-untyped-call]
    return font


def _cropped(mask: UInt8Array, left: int, above: int, advance: int) -> Line:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return Line(mask[:0, :0], 0, 0, advance)
    ink = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Line(ink, left + int(columns[0]), above - int(rows[0]), advance)


def _squeezed(mask: UInt8Array, squeeze: float) -> UInt8Array:
    """Change the width of a picture; each column is the mean of what it covers."""
    if squeeze == 1 or mask.size == 0:
        return mask
    before = mask.shape[1]
    after = max(1, round(before * squeeze))
    sums = np.concatenate([np.zeros((len(mask), 1)), mask.cumsum(axis=1, dtype=np.float64)], axis=1)
    edges = np.linspace(0, before, after + 1)
    first = np.minimum(edges.astype(int), before - 1)
    at_edges = sums[:, first] + (edges - first) * (sums[:, first + 1] - sums[:, first])
    squeezed: UInt8Array = np.rint(np.diff(at_edges, axis=1) * after / before).astype(np.uint8)
    return squeezed
