"""Turns a latent map into a coloured YUV 4:2:0 frame."""

from collections import defaultdict
from functools import cache, cached_property

import av
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation, VideoReformatter

from attnwatch.render.colormap import UInt8Array, YuvTables
from attnwatch.render.colours import PIXEL_FORMAT
from attnwatch.render.enlarge import Enlarger
from attnwatch.render.planes import samples
from attnwatch.settings import Upsampling
from attnwatch.tensors.loops import colour
from attnwatch.tensors.reduction import Float32Array

# swscale interprets grey floats as limited range (16..235 in 8 bits) in 16-bit steps (1.0 is 65535) and converts them
# to full-range grey bytes. From 16-bit grey it would dither, and the noise would more than double the file size.
_FLOAT_SPAN, _FLOAT_START = np.float32(219 * 256 / 65535), np.float32(16 * 256 / 65535)

FINE_LEVELS = 1 << 16
"""Levels of a map that is needed more exactly than in grey."""

_INTERPOLATION: dict[Upsampling, Interpolation] = {
    "bilinear": Interpolation.BILINEAR,
    "nearest": Interpolation.POINT,
    "lanczos": Interpolation.LANCZOS,
}


# With fewer rows or columns than these, swscale is wrong, by half of the scale with 2 or 3. One alone is drawn right.
_FEWEST: dict[Upsampling, int] = {"bilinear": 4, "nearest": 0, "lanczos": 8}
_REFINED = 24  # rows or columns, at least, of a map that had too few


class Enlarged:
    """A map at the size of a picture. Its levels are made when they are asked for; not thread-safe.

    Args:
        painter: how and to what size it is enlarged.
        shares: the map, `[rows, columns]`, 0..1.

    """

    def __init__(self, painter: "HeatPainter", shares: Float32Array) -> None:
        self._painter = painter
        small = painter.refined(shares) * _FLOAT_SPAN + _FLOAT_START
        self._small = av.VideoFrame.from_ndarray(small, format="grayf32le")

    @cached_property
    def greys(self) -> tuple[UInt8Array, UInt8Array, UInt8Array]:
        """Levels for each plane of a frame: 0 is the lower end of the scale, 255 the upper one."""
        luma, chroma = (self._painter.enlarge(self._small, part, "gray") for part in (1, 2))
        return pixels(luma.planes[0]), pixels(chroma.planes[0]), pixels(chroma.planes[0])

    def fine(self) -> npt.NDArray[np.uint16]:
        """Return the map in `FINE_LEVELS`: `[height, width]`. It is made anew each time, because it is large."""
        return samples(self._painter.enlarge(self._small, 1, "gray16le").planes[0], "<u2")


class HeatPainter:
    """Paints maps at one size with one colormap. Not thread-safe.

    Args:
        width: width of the picture in pixels, even.
        height: height of the picture in pixels, even.
        tables: the colormap.
        upsampling: how maps are enlarged.

    """

    def __init__(self, width: int, height: int, tables: YuvTables, upsampling: Upsampling = "bilinear") -> None:
        self._size = (width, height)
        self._tables = tables
        self._upsampling = upsampling
        self._scalers: defaultdict[tuple[int, str], VideoReformatter] = defaultdict(VideoReformatter)

    def refined(self, shares: Float32Array) -> Float32Array:
        """Enlarge a map a little if it has too few rows or columns for swscale."""
        fewest = _FEWEST[self._upsampling]
        if any(1 < cells < fewest for cells in shares.shape):
            return _refiner(*shares.shape, self._upsampling)(shares)
        return np.ascontiguousarray(shares)

    def enlarge(self, small: av.VideoFrame, part: int, pixel_format: str) -> av.VideoFrame:
        """Enlarge a grey frame to the size of the picture, divided by `part`."""
        width, height = (side // part for side in self._size)
        if (small.width, small.height) == (width, height):  # swscale would leave out the change of range
            return _in_levels(small, pixel_format)
        return self._scalers[part, pixel_format].reformat(
            small,
            width,
            height,
            format=pixel_format,
            interpolation=_INTERPOLATION[self._upsampling],
            threads=1,
        )

    def coloured(self, enlarged: Enlarged) -> av.VideoFrame:
        """Colour an enlarged map."""
        picture = av.VideoFrame(*self._size, PIXEL_FORMAT)
        for plane, grey, table in zip(picture.planes, enlarged.greys, self._tables.planes, strict=True):
            colour(pixels(plane), grey, table)
        return picture

    def paint(self, shares: Float32Array) -> av.VideoFrame:
        """Enlarge and colour a map, `[rows, columns]`, 0..1."""
        return self.coloured(Enlarged(self, shares))


@cache
def _refiner(rows: int, columns: int, upsampling: Upsampling) -> Enlarger:
    """Return what enlarges such maps as little as swscale needs."""
    height, width = (_refined(cells, upsampling) for cells in (rows, columns))
    return Enlarger((rows, columns), (width, height), upsampling)


def _refined(cells: int, upsampling: Upsampling) -> int:
    """Return into how many rows so many are enlarged: by an odd factor, which keeps the middles of all of them."""
    few = 1 < cells < _FEWEST[upsampling]
    return cells * (-(-_REFINED // cells) // 2 * 2 + 1) if few else cells


def _in_levels(small: av.VideoFrame, pixel_format: str) -> av.VideoFrame:
    """Return a map that has the size of the picture already, in the levels of a pixel format."""
    shares = (small.to_ndarray() - _FLOAT_START) / _FLOAT_SPAN
    kind, levels = (np.uint8, 255) if pixel_format == "gray" else (np.uint16, FINE_LEVELS - 1)
    return av.VideoFrame.from_ndarray(np.rint(shares * levels).astype(kind), format=pixel_format)


def pixels(plane: VideoPlane) -> UInt8Array:
    """Return a view of a plane's memory, `[height, width]`, without row padding."""
    return samples(plane, np.uint8)
