"""Normalizes attention maps to a colour scale and resamples them in time.

Both happen on the small latent grid (52 x 30 for 832 x 480 pixels), before any frame is painted.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attnwatch.contract.documents import Grid
from attnwatch.settings import Visualization
from attnwatch.tensors.reader import Part
from attnwatch.tensors.reduction import Float32Array

Float64Array = npt.NDArray[np.float64]

_ROUNDING = 1e-9  # tolerance for fractional strides
_HALF = np.float32(0.5)
_LARGEST = np.finfo(np.float32).max


def part_of(settings: Visualization) -> Part:
    """Return the denoising steps, layers and heads that the settings ask to average."""
    return Part(settings.steps, settings.layers, settings.heads, masked=settings.nonfinite == "mask")


@dataclass(frozen=True)
class Scale:
    """The attention values at the two ends of the colormap; the first is the larger one if inverted."""

    low: float
    high: float


@dataclass(frozen=True)
class Levels:
    """Maps as positions in the colormap, with the scale behind them.

    Attributes:
        shares: position of each value between the ends of the scale, `[frame, height, width]`, 0..1.
        scale: scale of all frames; the extremes over all frames if each has its own scale.

    """

    shares: Float32Array
    scale: Scale


def to_levels(maps: Float32Array, settings: Visualization, scale: Scale | None = None) -> Levels:
    """Convert attention to positions in the colormap.

    The ends of the scale are measured over all frames or for each frame, unless `vmin` or `vmax` set them. Positions
    below `threshold` become 0, and so do masked cells; `invert` is applied last. Maps without contrast become 0
    everywhere before that; so do those that are below `vmin`, and those above `vmax` become 1.

    Args:
        maps: attention, `[frame, height, width]`; NaN where it is masked.
        settings: `normalization`, `vmin`, `vmax`, `clip`, `threshold` and `invert` apply.
        scale: ends measured elsewhere, such as over a whole batch; None to measure them here.

    """
    per_frame = settings.normalization == "frame"
    low, high = _ends(maps.reshape(len(maps) if per_frame else 1, -1), settings, scale)
    share = _share(maps, low, high)
    if settings.vmax is not None and (beyond := low == high).any():
        share[beyond[:, None, None] & (maps > settings.vmax)] = 1
    np.clip(share, 0, 1, out=share)
    share[share < settings.threshold] = 0
    if settings.nonfinite == "mask":
        share[np.isnan(share)] = 0
    scale = Scale(float(low.min()), float(high.max()))
    if settings.invert:
        np.subtract(1, share, out=share)
        scale = Scale(scale.high, scale.low)
    return Levels(share, scale)


def _share(maps: Float32Array, low: Float32Array, high: Float32Array) -> Float32Array:
    if (high / 2 - low / 2 > _LARGEST / 2).any():
        quarter = np.float32(0.25)
        maps, low, high = maps * quarter, low * quarter, high * quarter  # their difference exceeds the range of float32
    span = np.where(high > low, high - low, np.inf)
    return np.asarray((maps - low[:, None, None]) / span[:, None, None], dtype=np.float32)


def ends(maps: Float32Array, settings: Visualization) -> Scale:
    """Return the ends of one video's colour scale."""
    low, high = _ends(maps.reshape(1, -1), settings, None)
    return Scale(float(low[0]), float(high[0]))


def _ends(values: Float32Array, settings: Visualization, scale: Scale | None) -> tuple[Float32Array, Float32Array]:
    """Return the lower and upper end of the scale of each row."""
    if scale is not None:
        low, high = (np.full(len(values), end, np.float32) for end in (scale.low, scale.high))
    elif settings.clip is None:
        low, high = values.min(axis=1), values.max(axis=1)
    else:
        low, high = np.percentile(values, settings.clip, axis=1).astype(np.float32)
    if np.isnan(low).any():
        low, high = np.transpose([_finite_ends(row, settings) for row in values]).astype(np.float32)
    if settings.vmin is not None:
        low = np.full_like(low, np.clip(settings.vmin, -_LARGEST, _LARGEST))
    if settings.vmax is not None:
        high = np.full_like(high, np.clip(settings.vmax, -_LARGEST, _LARGEST))
    # The end that was set stays where it is, also if it is beyond the one that was measured.
    return (np.minimum(low, high), high) if settings.vmin is None else (low, np.maximum(low, high))


def _finite_ends(values: Float32Array, settings: Visualization) -> tuple[float, float]:
    """Return the ends of the scale of values of which some are masked; 0 and 0 if all are."""
    seen = values[np.isfinite(values)]
    if seen.size == 0:
        return 0.0, 0.0
    low, high = np.percentile(seen, settings.clip or (0, 100))
    return float(low), float(high)


@dataclass(frozen=True)
class TimeMapping:
    """How latent frames map to video frames (FORMAT.md, `grid`).

    Attributes:
        stride: video frames per latent frame.
        causal: whether latent frame 0 covers only video frame 0.

    """

    stride: float
    causal: bool

    @classmethod
    def of(cls, latent_frames: int, video_frames: int, grid: Grid | None) -> "TimeMapping":
        """Return the mapping stated in the manifest, or derive one from the numbers of frames."""
        if grid is not None:
            return cls(grid.temporal_stride, grid.causal_first_frame)
        if 1 < latent_frames < video_frames and (video_frames - 1) % (latent_frames - 1) == 0:
            return cls((video_frames - 1) // (latent_frames - 1), causal=True)
        return cls(video_frames / latent_frames, causal=False)

    def middle(self, latent: Float64Array) -> Float64Array:
        """Return the middle of the interval that each latent frame covers, in video frames."""
        last = self.last(latent)
        return np.where((latent == 0) & self.causal, 0.0, last - (self.stride - 1) / 2)

    def last(self, latent: Float64Array) -> Float64Array:
        """Return the last video frame that each latent frame covers."""
        return self.stride * latent if self.causal else self.stride * (latent + 1) - 1

    def at(self, maps: Float32Array, frames: Float64Array, steps: int | None = None) -> Float32Array:
        """Interpolate latent frames at the given video frames.

        Args:
            maps: `[latent frame, height, width]`.
            frames: numbers of video frames, fractional in between.
            steps: None for linear interpolation at every frame; `n` for n evenly spaced values between two latent
                frames, each held; 0 to hold each latent frame for the frames that it covers.

        Returns:
            float32 `[video frame, height, width]`. The first map is held up to the middle of the first latent frame,
            the last map from the middle of the last one.

        """
        position = self.places(len(maps), frames, steps)
        if steps == 0:
            return maps[position.astype(np.intp)]
        first = position.astype(np.intp)
        second = np.minimum(first + 1, len(maps) - 1)
        weight = (position - first).astype(np.float32)[:, None, None]
        mixed = maps[first] * (1 - weight) + maps[second] * weight
        if np.isnan(mixed).any():  # masked cells are masked for the time that is nearest to their latent frame
            mixed = np.where(np.isnan(mixed), np.where(weight < _HALF, maps[first], maps[second]), mixed)
        return mixed

    def places(self, latent_frames: int, frames: Float64Array, steps: int | None = None) -> Float64Array:
        """Return the latent frame, fractional in between, that each of the given video frames shows; see `at`."""
        latent = np.arange(latent_frames, dtype=np.float64)
        if steps == 0:
            covering = np.searchsorted(self.last(latent) + _ROUNDING, frames)
            return np.minimum(covering, latent_frames - 1).astype(np.float64)
        position = np.interp(frames, self.middle(latent), latent)
        return position if steps is None else np.rint(position * (steps + 1)) / (steps + 1)
