"""Turns a latent map into a coloured YUV 4:2:0 frame, alone or blended over the source's frame."""

import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation, VideoReformatter

from attnwatch.render.colormap import UInt8Array, YuvTables
from attnwatch.render.colours import PIXEL_FORMAT
from attnwatch.tensors.loops import OPAQUE, blend, colour
from attnwatch.tensors.reduction import Float32Array

# swscale interprets grey floats as limited range (16..235 in 8 bits) in 16-bit steps (1.0 is 65535) and converts them
# to full-range grey bytes. From 16-bit grey it would dither, and the noise would more than double the file size.
_FLOAT_SPAN, _FLOAT_START = np.float32(219 * 256 / 65535), np.float32(16 * 256 / 65535)


class HeatPainter:
    """Paints maps at one size with one colormap. Not thread-safe.

    Args:
        width: width of the picture in pixels, even.
        height: height of the picture in pixels, even.
        tables: the colormap.

    """

    def __init__(self, width: int, height: int, tables: YuvTables) -> None:
        self._size = (width, height)
        self._tables = tables
        self._luma, self._chroma = VideoReformatter(), VideoReformatter()

    def paint(self, shares: Float32Array) -> av.VideoFrame:
        """Scale a map (`[height, width]`, 0..1) bilinearly to the size of the picture and colour it."""
        width, height = self._size
        small = av.VideoFrame.from_ndarray(shares * _FLOAT_SPAN + _FLOAT_START, format="grayf32le")
        luma = _enlarge(self._luma, small, width, height)
        chroma = _enlarge(self._chroma, small, width // 2, height // 2)
        picture = av.VideoFrame(width, height, PIXEL_FORMAT)
        for plane, grey, table in zip(picture.planes, (luma, chroma, chroma), self._tables.planes, strict=True):
            colour(pixels(plane), pixels(grey.planes[0]), table)
        return picture


class Blender:
    """Blends a heat picture over the source: `(1 - alpha) * source + alpha * heat`, per plane."""

    def __init__(self, alpha: float) -> None:
        self._weight = round(alpha * OPAQUE)

    def blend(self, source: av.VideoFrame, heat: av.VideoFrame) -> av.VideoFrame:
        """Return a new frame of the heat's size; both inputs have the same colours, the source is at least as large."""
        result = av.VideoFrame(heat.width, heat.height, PIXEL_FORMAT)
        for below, above, target in zip(source.planes, heat.planes, result.planes, strict=True):
            mixed = pixels(target)
            height, width = mixed.shape
            blend(mixed, pixels(below)[:height, :width], pixels(above), self._weight)
        return result


def pixels(plane: VideoPlane) -> UInt8Array:
    """Return a view of a plane's memory, `[height, width]`, without row padding."""
    rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size]
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width]


def _enlarge(scaler: VideoReformatter, small: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    return scaler.reformat(small, width, height, format="gray", interpolation=Interpolation.BILINEAR, threads=1)
