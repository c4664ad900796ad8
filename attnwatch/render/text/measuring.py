"""The size of text as matplotlib will draw it, from the metrics of its fonts."""

import math
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

POINTS_PER_INCH = 72
_OVERHANG = 0.09


class Extent(NamedTuple):
    """The size of one line in pixels: its width, and how far it reaches above and below its baseline."""

    width: float
    ascent: float
    descent: float


class Font(NamedTuple):
    """How text is set: its size in points, and the pixels per inch of the picture.

    Text for a PDF or SVG file is best measured at `dpi=300`, since the widths of small letters are rounded to whole
    pixels.
    """

    size: float
    dpi: float = 100

    @property
    def em(self) -> float:
        """The size in pixels."""
        return self.size * self.dpi / POINTS_PER_INCH

    @property
    def overhang(self) -> int:
        """How many pixels letters may reach over their own room, on both sides; more than those of upright fonts do."""
        return math.ceil(_OVERHANG * self.em)


@lru_cache(maxsize=1 << 14)
def extent(text: str, font: Font, families: tuple[str, ...]) -> Extent:
    """Return the size of a text in one line.

    Args:
        text: the text; trailing blanks count.
        font: how it is set.
        families: the font families, as from `fonts.families`; the first has all of ASCII.

    """
    if not text:
        return Extent(0, 0, 0)
    width, height, descent = _renderer(font.dpi).get_text_width_height_descent(
        text, properties(font, families[:1] if text.isascii() else families), ismath=False
    )  # type: ignore[no-untyped-call]
    return Extent(float(width), float(height - descent), float(descent))


@cache
def least_extent(font: Font, family: str) -> Extent:
    """Return how far each line of a family reaches at least above and below its baseline; the width is zero."""
    from matplotlib.font_manager import findfont, get_font  # noqa: PLC0415 - takes half a second

    found = get_font(findfont(properties(font, (family,))))
    scale = font.em / found.units_per_EM
    return Extent(0, found.ascender * scale, -found.descender * scale)


@lru_cache(maxsize=256)
def properties(font: Font, families: tuple[str, ...]) -> "FontProperties":
    """Return a font as matplotlib takes it. It is shared: do not change it."""
    from matplotlib.font_manager import FontProperties  # noqa: PLC0415 - takes half a second

    return FontProperties(family=list(families), size=font.size)


@cache
def _renderer(dpi: float) -> "RendererAgg":
    from matplotlib.backends.backend_agg import RendererAgg  # noqa: PLC0415 - takes half a second

    return RendererAgg(1, 1, dpi)  # type: ignore[no-untyped-call]
