"""Brings pictures of full range to limited range exactly, by tables. swscale cuts values off there."""

from functools import lru_cache

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, VideoReformatter

from attnwatch.render.planes import samples
from attnwatch.tensors.loops import colour

_BYTE = 8  # bits


def to_limited(frame: av.VideoFrame, reformatter: VideoReformatter) -> av.VideoFrame:
    """Return a YUV or grey frame of full range as yuv420p of limited range, at its size."""
    bits = frame.format.components[0].bits
    deep = "yuv420p" if bits == _BYTE else f"yuv420p{bits}le"
    full = reformatter.reformat(frame, format=deep, dst_color_range=ColorRange.JPEG, threads=1)
    limited = av.VideoFrame(frame.width, frame.height, "yuv420p")
    for source, target, table in zip(full.planes, limited.planes, _tables(bits), strict=True):
        rows = samples(target, np.uint8)
        if bits == _BYTE:
            colour(rows, samples(source, np.uint8), table.tobytes())
        else:
            rows[:] = table[samples(source, "<u2")]
    limited.color_range, limited.colorspace = ColorRange.MPEG, frame.colorspace
    return limited


@lru_cache(maxsize=4)
def _tables(bits: int) -> tuple[npt.NDArray[np.uint8], ...]:
    """Return the 8-bit limited level by the full level of so many bits, of Y, U and V (ITU-T H.273, section 8.3)."""
    levels, highest = np.arange(1 << bits), (1 << bits) - 1
    luma = 16 + 219 * levels / highest
    chroma = 128 + 224 * (levels - (1 << (bits - 1))) / highest
    return tuple(np.rint(plane).astype(np.uint8) for plane in (luma, chroma, chroma))
