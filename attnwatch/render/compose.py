"""Turns a latent map into a coloured YUV 4:2:0 frame."""

from collections import defaultdict
from functools import cached_property

import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation, VideoReformatter

from attnwatch.render.colormap import UInt8Array, YuvTables
from attnwatch.render.colours import PIXEL_FORMAT
from attnwatch.settings import Upsampling
from attnwatch.tensors.loops import colour
from attnwatch.tensors.reduction import Float32Array

# swscale interprets grey floats as limited range (16..235 in 8 bits) in 16-bit steps (1.0 is 65535) and converts them
# to full-range grey bytes. From 16-bit grey it would dither, and the noise would more than double the file size.
_FLOAT_SPAN, _FLOAT_START = np.float32(219 * 256 / 65535), np.float32(16 * 256 / 65535)

_INTERPOLATION: dict[Upsampling, Interpolation] = {
    "bilinear": Interpolation.BILINEAR,
    "nearest": Interpolation.POINT,
    "lanczos": Interpolation.LANCZOS,
}


class Enlarged:
    """A map at the size of a picture. Its levels are made when they are asked for; not thread-safe.

    Args:
        painter: how and to what size it is enlarged.
        shares: the map, `[rows, columns]`, 0..1.

    """

    def __init__(self, painter: "HeatPainter", shares: Float32Array) -> None:
        self._painter = painter
        self._small = av.VideoFrame.from_ndarray(shares * _FLOAT_SPAN + _FLOAT_START, format="grayf32le")

    @cached_property
    def greys(self) -> tuple[UInt8Array, UInt8Array, UInt8Array]:
        """Levels for each plane of a frame: 0 is the lower end of the scale, 255 the upper one."""
        luma, chroma = (self._painter.enlarge(self._small, part, "gray") for part in (1, 2))
        return pixels(luma.planes[0]), pixels(chroma.planes[0]), pixels(chroma.planes[0])

    @cached_property
    def shares(self) -> Float32Array:
        """The map itself: `[height, width]`, 0..1."""
        large = self._painter.enlarge(self._small, 1, "gray16le").to_ndarray()
        return large.astype(np.float32) / np.float32(65535)


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
        self._interpolation = _INTERPOLATION[upsampling]
        self._scalers: defaultdict[tuple[int, str], VideoReformatter] = defaultdict(VideoReformatter)

    def enlarge(self, small: av.VideoFrame, part: int, pixel_format: str) -> av.VideoFrame:
        """Enlarge a grey frame to the size of the picture, divided by `part`."""
        width, height = self._size
        return self._scalers[part, pixel_format].reformat(
            small, width // part, height // part, format=pixel_format, interpolation=self._interpolation, threads=1
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


def pixels(plane: VideoPlane) -> UInt8Array:
    """Return a view of a plane's memory, `[height, width]`, without row padding."""
    rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size]
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width]
