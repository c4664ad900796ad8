"""How a header asks players to turn and mirror the picture, and doing so."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import av
import numpy as np
from av.buffer import Buffer

from attnwatch.render.colours import PIXEL_FORMAT
from attnwatch.render.compose import pixels

_MATRIX = struct.Struct("=9i")  # a, b, u, c, d, v, x, y, w
_ROUNDING = 1 / 256  # of the largest entry: some writers compute sines that are not quite 0


@dataclass(frozen=True)
class Orientation:
    """The way from the stored to the shown picture: first a mirror image, then quarter turns.

    Attributes:
        mirrored: whether left and right are exchanged.
        quarters: quarter turns counterclockwise afterwards, 0 to 3.

    """

    mirrored: bool = False
    quarters: int = 0

    @property
    def is_upright(self) -> bool:
        """Whether the picture is shown as it is stored."""
        return self == Orientation()

    @property
    def swaps_sides(self) -> bool:
        """Whether the shown picture is as wide as the stored one is high."""
        return self.quarters % 2 == 1

    def __str__(self) -> str:
        turn = {0: "", 1: "by 90 degrees counterclockwise", 2: "by 180 degrees", 3: "by 90 degrees clockwise"}
        if not self.mirrored:
            return f"turns the picture {turn[self.quarters]}"
        if self.quarters == 0:
            return "mirrors the picture left to right"
        if self.quarters == 2:  # noqa: PLR2004 - half a turn
            return "mirrors the picture top to bottom"
        return f"mirrors the picture left to right and turns it {turn[self.quarters]}"

    def shown(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Return a yuv420p picture of even size as it is shown."""
        if self.is_upright:
            return picture
        width, height = picture.width // 2 * 2, picture.height // 2 * 2
        size = (height, width) if self.swaps_sides else (width, height)
        result = av.VideoFrame(*size, PIXEL_FORMAT)
        for number, (stored, shown) in enumerate(zip(picture.planes, result.planes, strict=True)):
            rows, columns = (height, width) if number == 0 else (height // 2, width // 2)
            view = pixels(stored)[:rows, :columns]
            pixels(shown)[:] = np.rot90(view[:, ::-1] if self.mirrored else view, self.quarters)
        return result


UPRIGHT = Orientation()


def orientation_of(frame: av.VideoFrame) -> Orientation | None:
    """Return how a decoded frame is to be shown; None if its header asks for something else than quarter turns."""
    try:
        # A frame that was asked for side data refers to itself, and stays in memory until Python looks for cycles.
        small = frame.reformat(2, 2)
        matrix = bytes(cast(Mapping[str, Buffer], small.side_data)["DISPLAYMATRIX"])
    except KeyError:
        return UPRIGHT
    except ValueError:  # the frame has side data of a kind that PyAV does not know, and then none can be read
        return None if frame.rotation else UPRIGHT
    a, b, _, c, d, *_ = _MATRIX.unpack(matrix[: _MATRIX.size])
    least = _ROUNDING * max(map(abs, (a, b, c, d)))
    a, b, c, d = ((value > least) - (value < -least) for value in (a, b, c, d))
    return _OF_MATRIX.get((a, b, c, d))


# A stored pixel (x, y), y downwards, is shown at (a x + c y, b x + d y): ISO/IEC 14496-12, section 6.2.2.
_OF_MATRIX = {
    (0, 0, 0, 0): UPRIGHT,  # says nothing
    (1, 0, 0, 1): UPRIGHT,
    (0, -1, 1, 0): Orientation(quarters=1),
    (-1, 0, 0, -1): Orientation(quarters=2),
    (0, 1, -1, 0): Orientation(quarters=3),
    (-1, 0, 0, 1): Orientation(mirrored=True),
    (0, 1, 1, 0): Orientation(mirrored=True, quarters=1),
    (1, 0, 0, -1): Orientation(mirrored=True, quarters=2),
    (0, -1, -1, 0): Orientation(mirrored=True, quarters=3),
}
