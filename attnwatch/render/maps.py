"""Attention maps on the latent grid: colour scale and time.

All of it happens on the small latent grid (52 x 30 for 832 x 480 pixels), before any frame is made.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attnwatch.documents import Grid
from attnwatch.tensorfile import Float32Array

UInt16Array = npt.NDArray[np.uint16]
Float64Array = npt.NDArray[np.float64]

FULL_SCALE = 65535

_ROUNDING = 1e-9  # a stride may be a fraction


@dataclass(frozen=True)
class Scale:
    """The attention values that the two ends of the colormap stand for."""

    low: float
    high: float

    @classmethod
    def of(cls, maps: Float32Array) -> "Scale":
        """Return the range of the maps."""
        return cls(float(maps.min()), float(maps.max()))

    def apply(self, maps: Float32Array) -> UInt16Array:
        """Map low..high to 0..65535. Maps without any contrast are all 0."""
        span = self.high - self.low
        if span <= 0:
            return np.zeros(maps.shape, dtype=np.uint16)
        scaled = (maps - np.float32(self.low)) * np.float32(FULL_SCALE / span)
        levels: UInt16Array = np.clip(np.rint(scaled), 0, FULL_SCALE).astype(np.uint16)
        return levels


@dataclass(frozen=True)
class TimeMapping:
    """How latent frames map to video frames (FORMAT.md, `grid`).

    Attributes:
        stride: video frames per latent frame.
        causal: latent frame 0 stands for video frame 0 alone.

    """

    stride: float
    causal: bool

    @classmethod
    def of(cls, latent_frames: int, video_frames: int, grid: Grid | None) -> "TimeMapping":
        """Take the manifest's mapping, or derive the one that fits both numbers of frames."""
        if grid is not None:
            return cls(grid.temporal_stride, grid.causal_first_frame)
        if 1 < latent_frames < video_frames and (video_frames - 1) % (latent_frames - 1) == 0:
            return cls((video_frames - 1) // (latent_frames - 1), causal=True)
        return cls(video_frames / latent_frames, causal=False)

    def middle(self, latent: Float64Array) -> Float64Array:
        """Return the time, in video frames, of the middle of what each latent frame covers."""
        last = self.last(latent)
        return np.where((latent == 0) & self.causal, 0.0, last - (self.stride - 1) / 2)

    def last(self, latent: Float64Array) -> Float64Array:
        """Return the last video frame that each latent frame covers."""
        return self.stride * latent if self.causal else self.stride * (latent + 1) - 1


def resample_in_time(maps: Float32Array, mapping: TimeMapping, video_frames: int, steps: int | None) -> Float32Array:
    """Interpolate latent frames to video frames.

    Args:
        maps: `[latent frame, height, width]`.
        mapping: which video frames each latent frame covers.
        video_frames: how many frames to make.
        steps: None for linear interpolation at every frame; `n` for n evenly spaced values between two latent
            frames, each held; 0 to hold each latent frame for the frames that it covers.

    Returns:
        float32 `[video frame, height, width]`; before the middle of the first latent frame and after that of the
        last, their maps are held.

    """
    latent = np.arange(len(maps), dtype=np.float64)
    frame = np.arange(video_frames, dtype=np.float64)
    if steps == 0:
        covering = np.searchsorted(mapping.last(latent) + _ROUNDING, frame)
        return maps[np.minimum(covering, len(maps) - 1)]
    position = np.interp(frame, mapping.middle(latent), latent)
    if steps is not None:
        position = np.rint(position * (steps + 1)) / (steps + 1)
    first = position.astype(np.intp)
    second = np.minimum(first + 1, len(maps) - 1)
    weight = (position - first).astype(np.float32)[:, None, None]
    return maps[first] * (1 - weight) + maps[second] * weight
