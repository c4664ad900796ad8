"""Brings pictures of full range to limited range exactly. swscale cuts values off there instead of rounding them."""

from functools import lru_cache
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, VideoReformatter

from attnwatch.render.planes import samples
from attnwatch.tensors.loops import colour

SPANS = (219, 224, 224)
"""By how many levels of 8 bits the ends of Y, U and V differ in limited range; in full range, by 255 each."""

_BYTE, _MOST = 8, 16  # bits
_ZEROS = (16, 128, 128)  # of Y, U and V in limited range


def to_limited(frame: av.VideoFrame, reformatter: VideoReformatter) -> av.VideoFrame:
    """Return a YUV or grey frame of full range as yuv420p of limited range, at its size."""
    bits = min(max(_BYTE, frame.format.components[0].bits), _MOST)  # black and white have 1 bit, floats 32
    deep = "yuv420p" if bits == _BYTE else f"yuv420p{bits}le"
    full = reformatter.reformat(frame, format=deep, dst_color_range=ColorRange.JPEG, threads=1)
    limited = av.VideoFrame(frame.width, frame.height, "yuv420p")
    for number, (source, target) in enumerate(zip(full.planes, limited.planes, strict=True)):
        if bits == _BYTE:
            colour(samples(target, np.uint8), samples(source, np.uint8), _table(number))
        else:
            samples(target, np.uint8)[:] = _limited(samples(source, "<u2"), bits, number)
    limited.color_range, limited.colorspace = ColorRange.MPEG, frame.colorspace
    return limited


@lru_cache(maxsize=3)
def _table(number: int) -> bytes:
    """Return the limited level of each full level of 8 bits, of a plane."""
    return _limited(np.arange(1 << _BYTE), _BYTE, number).tobytes()


def _limited(levels: npt.NDArray[np.integer[Any]], bits: int, number: int) -> npt.NDArray[np.uint8]:
    """Return the limited levels, 8 bits, of full levels of Y (plane 0), U or V (ITU-T H.273, section 8.3)."""
    scale = SPANS[number] / ((1 << bits) - 1)
    grey = 1 << (bits - 1) if number else 0
    start = _ZEROS[number] - grey * scale + 0.5  # the half rounds, because the fraction is cut off
    return (levels * np.float32(scale) + np.float32(start)).astype(np.uint8)
