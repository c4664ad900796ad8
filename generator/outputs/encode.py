"""Encodes frames as an H.264 video."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from generator.errors import VideoError

CRF = "18"
"""Constant rate factor of x264: visually lossless."""


def encode_video(path: Path, frames: np.ndarray, fps: float) -> None:
    """Write frames as H.264 to an MP4 file that can be played while it is still loading.

    Colours are converted with the BT.709 matrix and tagged accordingly at every size, because the frames are sRGB,
    which has the BT.709 primaries.

    Args:
        path: the file to write, in place; `generator.outputs.files.atomic_write` makes that atomic
        frames: ``[frame, height, width, 3]``, float from 0 to 1, height and width even
        fps: frames per second

    Raises:
        VideoError: if a value is not finite.

    """
    if not np.isfinite(frames).all():
        raise VideoError(
            "the pipeline returned frames that are not numbers. Its activations overflow; try another dtype "
            "(--dtype float32) or another seed"
        )
    pixels = np.rint(frames.clip(0.0, 1.0) * 255.0).astype(np.uint8)
    reformatter = VideoReformatter()
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(100_000))
        stream.height, stream.width = pixels.shape[1:3]
        stream.pix_fmt = "yuv420p"
        # Without mbtree, equal frames give equal files; with it, the output of x264 varies between runs at some sizes.
        stream.options = {"crf": CRF, "x264-params": "mbtree=0"}
        _tag(stream.codec_context)
        for picture in pixels:
            frame = reformatter.reformat(
                av.VideoFrame.from_ndarray(picture, format="rgb24"),
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _tag(context: av.VideoCodecContext) -> None:
    """Tag the stream with its colour space."""
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    context.colorspace = Colorspace.ITU709
    context.color_range = ColorRange.MPEG
