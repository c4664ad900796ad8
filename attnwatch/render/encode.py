"""Encodes YUV frames to H.264 files with PyAV and x264."""

import contextlib
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.video.reformatter import ColorRange

from attnwatch.render.colours import PIXEL_FORMAT, Colours
from attnwatch.render.encoding_errors import in_our_words, require_small_numbers
from attnwatch.render.memory import encoder_bytes
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

# Added where pictures show the source: no quantiser is coarser, whatever the footage. By crf alone, x264 encodes detail
# and grain the more coarsely, the more there is of it: 37 to 46 dB of PSNR-Y were measured at `balanced`. With this, 47
# and more, and 45 with strong grain. Finer quantisers for flat parts would add a fifth to the files, and half a dB.
_FOOTAGE = "qpmax=15:aq-mode=0"

# Added where memory is short: no frames are reordered or looked ahead at, and one is referred to.
_LEAN = "bframes=0:rc-lookahead=0:ref=1"


class Encoder:
    """Writes one MP4 file (H.264 High, yuv420p limited range, all colour tags set, index first).

    Args:
        path: the file to write; its suffix does not matter.
        width: width in pixels, even.
        height: height in pixels, even.
        rate: frames per second, as recorded in the file.
        time_base: seconds per unit of `pts`.
        colours: colours of the frames.
        pixel_aspect: width of a pixel divided by its height.
        quality: encoder effort.
        footage: whether the frames show the source video, of which every detail is kept, and not only smooth maps.
        lean: hold as few frames in memory as possible.

    Raises:
        VideoError: x264 rejects the size or a frame, or MP4 cannot hold the rate.
        MemoryError: there is not enough memory for the encoder.
        OSError: the file cannot be written.

    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        rate: Fraction,
        time_base: Fraction,
        colours: Colours,
        quality: Quality,
        pixel_aspect: Fraction = Fraction(1),
        footage: bool = False,
        lean: bool = False,
    ) -> None:
        require_small_numbers(path.name, rate, time_base, "set fps, or encode the video again at a usual rate")
        self._path = path
        self._time_base = time_base
        self._needed = encoder_bytes((width, height), quality, lean=lean)
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        options = {"profile": "high", "g": str(KEYFRAME_INTERVAL), **_X264[quality]}
        options["x264-params"] += f":{_FOOTAGE}" * footage + f":{_LEAN}" * lean
        self._stream = self._container.add_stream("libx264", rate=rate, options=options)
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, PIXEL_FORMAT
        context.time_base = time_base
        context.thread_count = 1  # outputs are encoded in parallel, so threads within one would only compete
        context.color_range = ColorRange.MPEG
        context.colorspace = colours.matrix
        context.color_primaries = colours.primaries
        context.color_trc = colours.transfer
        if pixel_aspect != 1:
            context.sample_aspect_ratio = pixel_aspect

    def write(self, frame: av.VideoFrame, pts: int, duration: int) -> None:
        """Encode one frame; `pts` and `duration` are in units of the time base."""
        frame.pts, frame.duration, frame.time_base = pts, duration, self._time_base
        size = f"{frame.width} x {frame.height}"
        with self._translated(
            f"a frame of {size} pixels at time {pts} that cannot be written",
            "even sizes from 2 x 2 to 16384 x 16384, and times that grow from frame to frame",
        ):
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Flush the encoder and finish the file.

        Raises the errors of the class.
        """
        with self._translated("frames that cannot be written", "frames that H.264 in MP4 can hold"):
            self._container.mux(self._stream.encode(None))
            self._container.close()

    def _translated(self, found: str, expected: str) -> contextlib.AbstractContextManager[None]:
        return in_our_words(self._path.name, found, expected, "check the video", self._needed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            with contextlib.suppress(av.FFmpegError):  # the first error tells more
                self._container.close()
