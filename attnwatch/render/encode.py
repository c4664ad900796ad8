"""Encodes YUV frames to H.264 files with PyAV and x264."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from attnwatch.errors import VideoError
from attnwatch.render.compose import PIXEL_FORMAT
from attnwatch.settings import Quality

KEYFRAME_INTERVAL = 16  # frames; makes seeking instant at no cost for smooth maps

# mbtree is off so that equal frames give equal files: with it, x264 (core 165) varies between runs at some widths.
# `fast` adds to ultrafast only what pays off for smooth heat maps: the quality of `medium` in a quarter of its time.
_X264: dict[Quality, dict[str, str]] = {
    "fast": {
        "preset": "ultrafast",
        "crf": "20",
        "x264-params": "cabac=1:8x8dct=1:no-deblock=0:bframes=3:b-adapt=0:weightb=1:scenecut=0",
    },
    "balanced": {"preset": "veryfast", "crf": "20", "x264-params": "mbtree=0"},
    "high": {"preset": "slow", "crf": "16", "x264-params": "mbtree=0"},
}

_PRIMARIES = {Colorspace.ITU601: ColorPrimaries.SMPTE170M, Colorspace.ITU709: ColorPrimaries.BT709}
_TRANSFER = {Colorspace.ITU601: ColorTrc.SMPTE170M, Colorspace.ITU709: ColorTrc.BT709}


class Encoder:
    """Writes one MP4 file (H.264 High, yuv420p limited range, all colour tags set, index first).

    Args:
        path: the file to write; its suffix does not matter.
        width: width in pixels, even.
        height: height in pixels, even.
        rate: frames per second, as recorded in the file.
        time_base: seconds per unit of `pts`.
        matrix: colour matrix of the frames.
        quality: encoder effort.

    Raises:
        VideoError: x264 rejects the size or a frame.

    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        rate: Fraction,
        time_base: Fraction,
        matrix: Colorspace,
        quality: Quality,
    ) -> None:
        self._path = path
        self._time_base = time_base
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        options = {"profile": "high", "g": str(KEYFRAME_INTERVAL), **_X264[quality]}
        self._stream = self._container.add_stream("libx264", rate=rate, options=options)
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, PIXEL_FORMAT
        context.time_base = time_base
        context.thread_count = 1  # outputs are encoded in parallel, so threads within one would only compete
        context.color_range = ColorRange.MPEG
        context.colorspace = matrix
        context.color_primaries = _PRIMARIES[matrix]
        context.color_trc = _TRANSFER[matrix]

    def write(self, frame: av.VideoFrame, pts: int, duration: int) -> None:
        """Encode one frame; `pts` and `duration` are in units of the time base."""
        frame.pts, frame.duration, frame.time_base = pts, duration, self._time_base
        try:
            self._container.mux(self._stream.encode(frame))
        except av.FFmpegError as error:
            found = f"a frame of {frame.width} x {frame.height} pixels, which x264 rejects ({error.strerror})"
            expected = "even sizes from 2 x 2 to 16384 x 16384"
            raise VideoError(f"{self._path.name}: found {found}; expected {expected}; check the video") from error

    def close(self) -> None:
        """Flush the encoder and finish the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._container.close()
