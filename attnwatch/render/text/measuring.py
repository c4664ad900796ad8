"""The size of text as matplotlib will draw it, from the metrics of its fonts."""

from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from attnwatch.render.text.fonts import with_usual

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

POINTS_PER_INCH = 72


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


@lru_cache(maxsize=1 << 16)
def extent(text: str, font: Font, fallbacks: tuple[str, ...]) -> Extent:
    """Return the size of a text in one line.

    Args:
        text: the text; trailing blanks count.
        font: how it is set.
        fallbacks: families for what the usual font lacks, as from `fonts.fallbacks`.

    """
    if not text:
        return Extent(0, 0, 0)
    width, height, descent = _renderer(font.dpi).get_text_width_height_descent(
        text, properties(font, () if text.isascii() else fallbacks), ismath=False
    )  # type: ignore[no-untyped-call]
    return Extent(float(width), float(height - descent), float(descent))


@cache
def usual_extent(font: Font) -> Extent:
    """Return how far a line of the usual font reaches at least above and below its baseline; its width is zero."""
    from matplotlib.font_manager import findfont, get_font  # noqa: PLC0415 - takes half a second

    usual = get_font(findfont(properties(font, ())))
    scale = font.em / usual.units_per_EM
    return Extent(0, usual.ascender * scale, -usual.descender * scale)


@lru_cache(maxsize=256)
def properties(font: Font, fallbacks: tuple[str, ...]) -> "FontProperties":
    """Return a font as matplotlib takes it. It is shared: do not change it."""
    from matplotlib.font_manager import FontProperties  # noqa: PLC0415 - takes half a second

    return FontProperties(family=list(with_usual(fallbacks)), size=font.size)


@cache
def _renderer(dpi: float) -> "RendererAgg":
    from matplotlib.backends.backend_agg import RendererAgg  # noqa: PLC0415 - takes half a second

    return RendererAgg(1, 1, dpi)  # type: ignore[no-untyped-call]
