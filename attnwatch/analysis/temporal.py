"""Measures over the frames of one video: how the attention to a word moves, and when there is how much of it."""

from dataclasses import dataclass

import numpy as np

from attnwatch.analysis.spatial import Float64Array, Spatial


@dataclass(frozen=True)
class Temporal:
    """Measures of a sequence of frames. Distances are in diagonals of the picture.

    Attributes:
        path_length: length of the way of the centroid, `sum(d)` of the distances d from frame to frame.
        speed: `path_length` per second; NaN if the times of the frames are unknown, or all are at the same time.
        velocity_x: mean velocity of the centroid to the right, in widths of the picture per second: the slope of the
            line that fits its places best (least squares); NaN like `speed`.
        velocity_y: the same downwards, in heights per second.
        peak_frame: frame with the highest mass, from 0, the first of several.
        temporal_entropy: entropy of the masses as a distribution over the frames, as a share of its maximum, ln F: 1 if
            there is equally much in every frame, 0 if all is in one; NaN if there is none at all.

    """

    path_length: float
    speed: float
    velocity_x: float
    velocity_y: float
    peak_frame: int
    temporal_entropy: float


def temporal(frames: Spatial, aspect: tuple[int, int], seconds: Float64Array | None) -> Temporal:
    """Return the measures of a video.

    Args:
        frames: measures of its frames, each `[frame]`. Frames without attention are left out of the centroid's way.
        aspect: width and height of the latent grid.
        seconds: time of each frame, `[frame]`, never decreasing; None if unknown.

    """
    there = np.isfinite(frames.centroid_x)
    x, y = frames.centroid_x[there], frames.centroid_y[there]
    diagonal = np.hypot(*aspect)
    length = float(np.hypot(np.diff(x) * aspect[0], np.diff(y) * aspect[1]).sum() / diagonal)
    times = np.zeros(0) if seconds is None else seconds[there]
    lasts = float(times[-1] - times[0]) if len(times) else 0.0  # 0 too if a short video shows all of them at one time
    return Temporal(
        path_length=length,
        speed=length / lasts if lasts else np.nan,
        velocity_x=_slope(times, x) if lasts else np.nan,
        velocity_y=_slope(times, y) if lasts else np.nan,
        peak_frame=int(frames.mass.argmax()),
        temporal_entropy=_evenness(frames.mass),
    )


def _slope(times: Float64Array, places: Float64Array) -> float:
    centred = times - times.mean()
    return float(centred @ (places - places.mean()) / (centred @ centred))


def _evenness(mass: Float64Array) -> float:
    total = mass.sum()
    if total == 0:
        return float("nan")
    shares = mass[mass > 0] / total
    return max(0.0, float(-(shares @ np.log(shares)) / np.log(len(mass)))) if len(mass) > 1 else 0.0
