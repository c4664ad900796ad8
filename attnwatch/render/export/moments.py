"""When the frames of a video and its latent frames are shown, and which belong together."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from attnwatch.contract.export_document import ExportedFrame, ExportedLatentFrame
from attnwatch.render.alignment import Alignment
from attnwatch.render.maps import Float64Array
from attnwatch.render.source import AbsentSource, VideoSource
from attnwatch.tensors.reduction import Float32Array

_DIGITS = 6  # of positions, which are computed with 32 bits


class Moment(NamedTuple):
    """When a frame is shown and for how long, in units of the time base of the video."""

    pts: int
    duration: int


def moments_of(source: VideoSource | AbsentSource) -> tuple[Moment, ...]:
    """Decode a video, and return when its frames are shown, each up to the next. Its timeline is right afterwards."""
    frames = [Moment(frame.pts, frame.duration) for frame in source.frames()]
    between = (Moment(one.pts, other.pts - one.pts) for one, other in pairwise(frames))
    return (*between, frames[-1])


def frames_of(
    moments: Sequence[Moment], seconds: Float64Array, alignment: Alignment, latent: int, steps: int | None
) -> tuple[ExportedFrame, ...]:
    """Describe the frames of a video.

    Args:
        moments: when they are shown.
        seconds: the same, counted from the first one.
        alignment: which generated frames they show.
        latent: number of latent frames.
        steps: see `TimeMapping.at`.

    """
    positions = alignment.maps(_numbers(latent), steps).ravel().astype(np.float64).round(_DIGITS)
    return tuple(
        ExportedFrame(pts=moment.pts, duration=moment.duration, seconds=float(second), latent=float(position))
        for moment, second, position in zip(moments, seconds, positions, strict=True)
    )


def latent_frames_of(seconds: Float64Array, alignment: Alignment, latent: int) -> tuple[ExportedLatentFrame, ...]:
    """Describe the latent frames of a video; see `frames_of`."""
    covering = alignment.maps(_numbers(latent), 0).ravel()
    found = []
    for number, second in enumerate(alignment.latent_seconds(latent, seconds).tolist()):
        (frames,) = np.nonzero(covering == number)
        ends = (int(frames[0]), int(frames[-1])) if len(frames) else (None, None)
        found.append(ExportedLatentFrame(seconds=second, first=ends[0], last=ends[1]))
    return tuple(found)


def _numbers(latent: int) -> Float32Array:
    """Return maps that hold the numbers of their latent frames, to be mapped to frames like any others."""
    return np.arange(latent, dtype=np.float32)[:, None, None]
