"""A white page on which black text and thin lines are drawn, before pictures are pasted into it."""

from typing import Literal

import numpy as np

from attnwatch.render.boxes import Box
from attnwatch.render.pages.lines import TextStyle, UInt8Array

PAPER, INK = 235, 16
"""White and black in luma, in any of the codec's colour spaces; neither has chroma."""

Side = Literal["left", "centre", "right"]

_SHIFT: dict[Side, float] = {"left": 0, "centre": 0.5, "right": 1}


class Canvas:
    """A page to draw on.

    Args:
        width: in pixels, even.
        height: in pixels, even.

    Attributes:
        luma: what is drawn, `[height, width]`.
        texts: what is written, each with the box of its ink, in order; it may be cut by the edges of the page.

    """

    def __init__(self, width: int, height: int) -> None:
        self.luma: UInt8Array = np.full((height, width), PAPER, np.uint8)
        self.texts: list[tuple[str, Box]] = []

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.luma.shape
        return width, height

    def write(self, text: str, x: int, baseline: int, style: TextStyle, side: Side = "left") -> None:
        """Write a line of text.

        Args:
            text: without line breaks.
            x: column at which it starts, is centred, or ends.
            baseline: the first row below letters that do not reach below the line.
            style: how it looks.
            side: which of its sides is at `x`.

        """
        line = style.line(text)
        left = x - round(_SHIFT[side] * style.width(text)) + line.left
        self._stamp(text, line.mask, left, baseline - line.above)

    def write_upwards(self, text: str, x: int, middle: int, style: TextStyle) -> None:
        """Write a line of text that runs from bottom to top, left of which is column `x`, centred on row `middle`."""
        line = style.line(text)
        across = x + style.ascent - line.above
        self._stamp(text, np.rot90(line.mask), across, middle - line.mask.shape[1] // 2)

    def fill(self, box: Box, luma: int = INK) -> None:
        """Fill a rectangle, as far as it is on the page."""
        self.luma[max(0, box.top) : max(0, box.bottom), max(0, box.left) : max(0, box.right)] = luma

    def _stamp(self, text: str, mask: UInt8Array, left: int, top: int) -> None:
        if mask.size:
            self.texts.append((text, Box(left, top, mask.shape[1], mask.shape[0])))
            stamp(self.luma, mask, left, top)


def stamp(luma: UInt8Array, mask: UInt8Array, left: int, top: int) -> None:
    """Write in black what a mask covers, as far as it is on the page."""
    rows, columns = slice(max(0, top), max(0, top + len(mask))), slice(max(0, left), max(0, left + mask.shape[1]))
    below = luma[rows, columns]
    covered = mask[rows.start - top :, columns.start - left :][: below.shape[0], : below.shape[1]]
    below[:] = np.rint(below + covered / 255 * (np.float64(INK) - below))
