"""Lines of text whose size is known before they are drawn."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from attnwatch.render.text.breaking import pieces
from attnwatch.render.text.measuring import Extent, Font, extent, least_extent, properties

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

Align = Literal["start", "left", "center", "right"]


@dataclass(frozen=True)
class Lettering:
    """Lines of text in a font, which can be drawn; made by `fit`.

    Figures are best saved with matplotlib's `pdf.fonttype` at 42: Type 3 fonts mix up the emoji of Symbola.

    Args:
        lines: the lines, from the top; none where nothing fits.
        font: how they are set.
        families: the font families, the usual one first.
        right_to_left: whether the text is read from the right, so that its lines start there.
        is_cut: whether the end of the text was left out.

    """

    lines: tuple[str, ...]
    font: Font
    families: tuple[str, ...]
    right_to_left: bool = False
    is_cut: bool = False

    @property
    def text(self) -> str:
        """The lines as one string, for labels that matplotlib places itself; see `style`."""
        return "\n".join(self.lines)

    @property
    def style(self) -> dict[str, Any]:
        """Arguments with which matplotlib's functions for text draw `text` as it was measured."""
        how = {"fontproperties": properties(self.font, self.families), "parse_math": False, "usetex": False}
        return how | ({"multialignment": "right"} if self.right_to_left else {})

    @property
    def width(self) -> int:
        """The width in pixels of the widest line, with what letters may reach over its ends."""
        widest = max((line.width for line in self._extents), default=0)
        return math.ceil(widest) + 2 * self.font.overhang if self.lines else 0

    @property
    def height(self) -> int:
        """The height in pixels of all lines."""
        return len(self.lines) * self.pitch

    @property
    def pitch(self) -> int:
        """The distance in pixels from one line to the next."""
        return self.ascent + math.ceil(max((line.descent for line in self._reaches), default=0))

    @property
    def ascent(self) -> int:
        """The distance in pixels from the top of a line to its baseline."""
        return math.ceil(max((line.ascent for line in self._reaches), default=0))

    def draw(
        self,
        figure: "Figure",
        left: float,
        top: float,
        *,
        width: float | None = None,
        align: Align = "start",
        color: str = "black",
    ) -> "list[Text]":
        """Draw the lines into a figure, and return what was added to it.

        Args:
            figure: the figure, as large as it will be drawn, with the `dpi` of the font.
            left: left end of the text's box, in pixels from that of the figure.
            top: upper end of the text's box, in pixels from that of the figure.
            width: width of the box in pixels; by default that of the text.
            align: where in the box the lines stand; "start" is the right side for scripts read from the right.
            color: as in matplotlib.

        """
        across, down = (side * self.font.dpi for side in figure.get_size_inches())
        drawn = []
        for index, (line, size) in enumerate(zip(self.lines, self._extents, strict=True)):
            room = (self.width if width is None else width) - 2 * self.font.overhang
            x = left + self.font.overhang + self._indent(room - size.width, align)
            y = top + index * self.pitch + self.ascent
            how = {**self.style, "ha": "left", "va": "baseline", "color": color}
            drawn.append(figure.text(x / across, 1 - y / down, line, **how))
        return drawn

    def ink(self) -> npt.NDArray[np.float32]:
        """Return how much of each pixel the letters cover, `[height, width]`, 0..1."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - takes half a second
        from matplotlib.figure import Figure  # noqa: PLC0415

        if not self.width or not self.height:
            return np.zeros((self.height, self.width), np.float32)
        figure = Figure((self.width / self.font.dpi, self.height / self.font.dpi), dpi=self.font.dpi, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        self.draw(figure, 0, 0)
        canvas.draw()  # type: ignore[no-untyped-call]
        rgba = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        return ((255 - rgba[..., 0]) / 255).astype(np.float32)

    def _indent(self, spare: float, align: Align) -> int:
        """Return how far from the left of its box a line begins, in whole pixels, which keep letters sharp."""
        if align == "center":
            return round(spare / 2)
        return math.floor(spare) if align == "right" or (align == "start" and self.right_to_left) else 0

    @cached_property
    def _extents(self) -> tuple[Extent, ...]:
        return tuple(line_extent(line, self.font, self.families) for line in self.lines)

    @cached_property
    def _reaches(self) -> tuple[Extent, ...]:
        """The extents with that of the usual font, so that lines of most texts are equally high."""
        return (*self._extents, least_extent(self.font, self.families[0])) if self.lines else ()


def line_extent(line: str, font: Font, families: tuple[str, ...]) -> Extent:
    """Return the size of one line. It is the sum of its pieces, so that words which recur are measured once."""
    found = [extent(piece, font, families) for piece in pieces(line)]
    return Extent(
        sum(piece.width for piece in found),
        max((piece.ascent for piece in found), default=0),
        max((piece.descent for piece in found), default=0),
    )
