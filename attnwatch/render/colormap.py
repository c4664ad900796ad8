"""Colormaps as lookup tables from 8-bit grey to Y, U and V, so that no RGB frame is ever needed."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from av.video.reformatter import Colorspace

from attnwatch.render.colours import Colours
from attnwatch.render.full_range import SPANS
from attnwatch.render.gamut import from_srgb

UInt8Array = npt.NDArray[np.uint8]

LEVELS = 256
BLACK, WHITE = (16, 128, 128), (235, 128, 128)
"""Y, U and V."""

# Luma coefficients (red, blue) of each matrix: ITU-T H.273, table 4.
_LUMA = {
    Colorspace.ITU601: (0.299, 0.114),
    Colorspace.ITU709: (0.2126, 0.0722),
    Colorspace.FCC: (0.30, 0.11),
    Colorspace.SMPTE240M: (0.212, 0.087),
    Colorspace.BT2020: (0.2627, 0.0593),
}


@dataclass(frozen=True)
class YuvTables:
    """The 8-bit limited-range Y, U and V of each grey level, as tables of 256 bytes."""

    y: bytes
    u: bytes
    v: bytes

    @property
    def planes(self) -> tuple[bytes, bytes, bytes]:
        """The three tables, in the plane order of a frame."""
        return self.y, self.u, self.v


@lru_cache(maxsize=32)
def yuv_tables(colormap: str, colours: Colours) -> YuvTables:
    """Return the tables of a matplotlib colormap for a video of the given colours."""
    return YuvTables(*(plane.tobytes() for plane in rgb_to_yuv(colormap_rgb(colormap), colours)))


def rgb_to_yuv(rgb: npt.NDArray[np.float64], colours: Colours) -> tuple[UInt8Array, UInt8Array, UInt8Array]:
    """Convert sRGB (`[..., 3]`, 0..1) to 8-bit limited-range Y, U and V, each `[...]`."""
    y, u, v = (np.rint(plane).astype(np.uint8) for plane in _yuv(from_srgb(rgb, colours.primaries), colours.matrix))
    return y, u, v


def yuv_matrix(matrix: Colorspace) -> npt.NDArray[np.float64]:
    """Return what turns R, G and B (0..1, in the video's primaries) into what Y, U and V add to `BLACK`: `[3, 3]`."""
    return np.asarray(np.stack(_yuv(np.eye(3), matrix)) - np.array(BLACK)[:, None])


def _yuv(rgb: npt.NDArray[np.float64], matrix: Colorspace) -> tuple[npt.NDArray[np.float64], ...]:
    """Convert R, G and B (`[..., 3]`, 0..1) to limited-range Y, U and V, each `[...]` (ITU-T H.273, section 8.3)."""
    red_weight, blue_weight = _LUMA[matrix]
    red, green, blue = np.moveaxis(rgb, -1, 0)
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    y = BLACK[0] + SPANS[0] * luma
    u = BLACK[1] + SPANS[1] * (blue - luma) / (2 * (1 - blue_weight))
    v = BLACK[2] + SPANS[2] * (red - luma) / (2 * (1 - red_weight))
    return y, u, v


def colormap_rgb(name: str) -> npt.NDArray[np.float64]:
    """Return the 256 colours of a matplotlib colormap: `[256, 3]`, 0..1."""
    from matplotlib import colormaps  # noqa: PLC0415 - takes 0.2 s, needed only for rendering

    return np.asarray(colormaps[name](np.arange(LEVELS) / (LEVELS - 1)))[:, :3].astype(np.float64)
