"""The file formats of an export: how values become pictures that FFmpeg encodes, and with which options."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from attnwatch.render.planes import samples
from attnwatch.tensors.reduction import Float32Array

FormatName = Literal["png16", "exr", "prores4444"]

_UNSIGNED_16 = 65535
_ALPHA = 1023  # levels of 10 bits; FFmpeg stores them in 16, without loss
_BLACK, _SPAN, _NEUTRAL = 64, 876, 512  # limited range in 10 bits


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        name: as on the command line.
        suffix: of the files.
        codec: FFmpeg's encoder.
        options: of the encoder.
        pixel_format: FFmpeg's name of how pictures are given to it.
        levels: largest stored number, which stands for the upper end of the scale; None if values are stored as they
            are.
        channels: what they hold, for people.
        alpha: how alpha relates to the colours; None if there is none.
        is_film: whether all pictures are in one file.
        fill: writes values into the planes of a picture.

    """

    name: FormatName
    suffix: str
    codec: str
    options: Mapping[str, str]
    pixel_format: str
    levels: int | None
    channels: str
    alpha: Literal["premultiplied"] | None
    fill: Callable[[av.VideoFrame, Float32Array], None]
    is_film: bool = False

    def picture(self, values: Float32Array) -> av.VideoFrame:
        """Return a picture of attention, `[height, width]`; 0..1 unless values are stored as they are."""
        height, width = values.shape
        frame = av.VideoFrame(width, height, self.pixel_format)
        self.fill(frame, values)
        if self.is_film:  # the encoder takes the tags of the frame, the container those of the encoder
            _tag(frame)
        return frame

    def describe(self, context: VideoCodecContext, size: tuple[int, int], pixel_aspect: Fraction) -> None:
        """Tell an encoder the width and height of the pictures, and how they are stored."""
        context.width, context.height = size
        context.pix_fmt = self.pixel_format
        # FFmpeg writes the aspect of PNG the other way round than the specification of pHYs has it.
        context.sample_aspect_ratio = 1 / pixel_aspect if self.codec == "png" else pixel_aspect
        if self.is_film:
            _tag(context)


def _tag(what: VideoCodecContext | av.VideoFrame) -> None:
    """Set the colour tags of films: grey is the same with every matrix, and programs take films for BT.709."""
    what.color_range, what.colorspace = ColorRange.MPEG, Colorspace.ITU709
    what.color_primaries, what.color_trc = ColorPrimaries.BT709, ColorTrc.BT709


def _fill_png(frame: av.VideoFrame, shares: Float32Array) -> None:
    samples(frame.planes[0], ">u2")[:] = _levels(shares, _UNSIGNED_16)


def _fill_exr(frame: av.VideoFrame, attention: Float32Array) -> None:
    for plane in frame.planes:
        samples(plane, "<f4")[:] = attention


def _fill_prores(frame: av.VideoFrame, shares: Float32Array) -> None:
    luma, blue, red, alpha = (samples(plane, "<u2") for plane in frame.planes)
    luma[:] = _levels(shares, _SPAN) + _BLACK
    blue[:] = red[:] = _NEUTRAL
    alpha[:] = _levels(shares, _ALPHA)


def _levels(shares: Float32Array, most: int) -> Float32Array:
    return np.asarray(np.rint(shares * np.float32(most)), np.float32)


FORMATS: dict[FormatName, Format] = {
    "png16": Format(
        name="png16",
        suffix="png",
        codec="png",
        options={"pred": "sub"},  # half as large as with the others, because maps are smooth
        pixel_format="gray16be",
        levels=_UNSIGNED_16,
        channels="one grey channel of 16 bits",
        alpha=None,
        fill=_fill_png,
    ),
    "exr": Format(
        name="exr",
        suffix="exr",
        codec="exr",
        options={"compression": "zip16", "format": "float"},
        pixel_format="gbrpf32le",  # many programs do not show an image with a Y channel alone
        levels=None,
        channels="R, G and B, equal, 32-bit float",
        alpha=None,
        fill=_fill_exr,
    ),
    "prores4444": Format(
        name="prores4444",
        suffix="mov",
        codec="prores_ks",
        options={"profile": "4444", "alpha_bits": "16", "vendor": "apl0"},
        pixel_format="yuva444p10le",
        levels=_ALPHA,
        channels="grey (10 bits, limited range, BT.709, lossy) and alpha (10 of 16 bits, lossless), both the map",
        alpha="premultiplied",
        fill=_fill_prores,
        is_film=True,
    ),
}
