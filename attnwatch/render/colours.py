"""The colours of a video: how its numbers are to be read, and what becomes of them in the outputs."""

from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from attnwatch.render.full_range import to_limited
from attnwatch.render.gamut import is_wide, to_srgb
from attnwatch.render.hdr import to_bt709

PIXEL_FORMAT = "yuv420p"
"""Pixel format of all pictures, with limited range."""

ACCURATE = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
"""For swscale, beside the kind of interpolation, wherever YUV becomes RGB, RGB becomes YUV, or the matrix changes.

Without it, values are cut off instead of rounded: RGB becomes one or two levels darker than the video.
"""

_HD_LINES = 720

# Codes of ITU-T H.273, table 4: 5 (BT.470BG) and 6 (SMPTE 170M) denote the BT.601 matrix, 9 and 10 that of BT.2020.
_TAGGED_MATRIX = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_UNTAGGED = {0, 2}  # RGB, which becomes YUV here, and unspecified
_PRIMARIES = {
    Colorspace.ITU601: ColorPrimaries.SMPTE170M,
    Colorspace.ITU709: ColorPrimaries.BT709,
    Colorspace.FCC: ColorPrimaries.BT470M,
    Colorspace.SMPTE240M: ColorPrimaries.SMPTE240M,
    Colorspace.BT2020: ColorPrimaries.BT2020,
}
_TRANSFER = {
    Colorspace.ITU601: ColorTrc.SMPTE170M,
    Colorspace.ITU709: ColorTrc.BT709,
    Colorspace.FCC: ColorTrc.GAMMA22,
    Colorspace.SMPTE240M: ColorTrc.SMPTE240M,
    Colorspace.BT2020: ColorTrc.BT2020_10,
}
_UNKNOWN = {0, 2, 3}
_HDR = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}


@dataclass(frozen=True)
class Colours:
    """How the Y, U and V of a video are to be read: codes of ITU-T H.273.

    Attributes:
        matrix: from YUV to RGB.
        primaries: code of the colour primaries.
        transfer: code of the transfer characteristics.

    """

    matrix: Colorspace
    primaries: int
    transfer: int

    @classmethod
    def of_matrix(cls, matrix: Colorspace, primaries: int | None = None, transfer: int | None = None) -> "Colours":
        """Return colours with the primaries and the transfer that usually go with a matrix, unless they are given."""
        return cls(matrix, primaries or int(_PRIMARIES[matrix]), transfer or int(_TRANSFER[matrix]))

    @classmethod
    def usual(cls, height: int) -> "Colours":
        """Return what players assume for an untagged video: BT.601 for small ones, BT.709 from 720 lines on."""
        return cls.of_matrix(Colorspace.ITU601 if height < _HD_LINES else Colorspace.ITU709)


@dataclass(frozen=True)
class ColourPlan:
    """What is done about the colours of a video.

    Attributes:
        colours: those of the outputs.
        hdr: transfer of the source if its pictures have to be mapped to standard dynamic range; else None.
        note: remark for the receipt; None if the colours are kept as they are.

    """

    colours: Colours
    hdr: ColorTrc | None = None
    note: str | None = None

    @classmethod
    def of(cls, context: VideoCodecContext) -> "ColourPlan":
        """Decide by the tags of a video: keep its colours, unless outputs of 8 bits cannot show them."""
        if context.color_trc in _HDR:
            hdr = ColorTrc(context.color_trc)
            note = f"the video is HDR ({_HDR[hdr]}): its pictures are mapped to the colours of BT.709"
            return cls(Colours.of_matrix(Colorspace.ITU709), hdr, note)
        code = int(context.colorspace)
        matrix = _TAGGED_MATRIX.get(code, Colours.usual(context.height).matrix)
        colours = Colours.of_matrix(matrix, _known(context.color_primaries), _known(context.color_trc))
        if code in _TAGGED_MATRIX or code in _UNTAGGED:
            return cls(colours)
        note = f"the video's colours may be off: its colour matrix (code {code} of ITU-T H.273) is not supported"
        return cls(colours, note=note)


def _known(code: int) -> int | None:
    """Return a code of primaries or transfer characteristics; None if it is reserved or says `unspecified`."""
    return None if code in _UNKNOWN else int(code)


class Converter:
    """Makes limited-range yuv420p of decoded frames, in the colours of a plan. Not thread-safe."""

    def __init__(self, plan: ColourPlan) -> None:
        self._plan = plan
        self._reformatter = VideoReformatter()

    def picture(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the picture of a frame, at its size; the frame itself if nothing has to be done."""
        if self._plan.hdr is not None:
            frame = to_bt709(frame, self._plan.hdr)
        if frame.color_range == ColorRange.JPEG and not frame.format.is_rgb:
            return to_limited(frame, self._reformatter)
        if frame.format.name == PIXEL_FORMAT:
            return frame
        return self._reformatter.reformat(
            frame,
            format=PIXEL_FORMAT,
            dst_colorspace=self._plan.colours.matrix if frame.format.is_rgb else None,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BILINEAR | ACCURATE if frame.format.is_rgb else None,
            threads=1,
        )


def srgb(picture: av.VideoFrame, colours: Colours) -> npt.NDArray[np.uint8]:
    """Return a picture in sRGB, `[height, width, 3]`."""
    how = Interpolation.BILINEAR | ACCURATE
    frame = picture.reformat(format="rgb24", src_colorspace=colours.matrix, interpolation=how, threads=1)
    levels = np.asarray(frame.to_ndarray(), np.uint8)
    if not is_wide(colours.primaries):
        return levels
    return np.rint(255 * to_srgb(levels / 255, colours.primaries)).astype(np.uint8)
