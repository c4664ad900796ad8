"""Which generated frame each frame of a video shows (FORMAT.md, `grid`).

Usually frame i shows frame i. A video that was interpolated or cut after it was generated has another number of frames
than its latent grid covers, and its maps have to follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attnwatch.contract.documents import Grid, ManifestDocument
from attnwatch.render.maps import Float64Array, TimeMapping
from attnwatch.tensors.reduction import Float32Array


@dataclass(frozen=True)
class Alignment:
    """The frames of a video in terms of the frames that were generated.

    Attributes:
        positions: number of the generated frame, fractional in between, that each frame of the video shows.
        generated: number of frames that were generated.
        placement: what is done about a video that contradicts its manifest; None if it does not.

    """

    positions: Float64Array
    generated: int
    placement: str | None = None
    _grid: Grid | None = None

    @classmethod
    def of(cls, document: ManifestDocument, seconds: Float64Array, frame_seconds: float) -> "Alignment":
        """Align a video with its manifest.

        Args:
            document: the manifest.
            seconds: when each frame is shown, from the first one.
            frame_seconds: how long a frame is usually shown.

        """
        grid, made, frames = document.grid, document.generation, len(seconds)
        if grid is None or _covers(grid, frames):
            return cls(np.arange(frames, dtype=np.float64), frames, None, grid)
        covered = covered_frames(grid)
        if made.fps is not None and made.frames is not None and _covers(grid, made.frames):
            # The recorded rate is that of the frames that the grid covers. A video that lasts longer was slowed down.
            lasts, lasted = seconds[-1] + frame_seconds, covered / made.fps
            if lasts <= lasted + max(frame_seconds, 1 / made.fps):
                placement = f"maps are placed by time, at {made.fps:g} generated frames per second"
                return cls(seconds * made.fps, covered, placement, grid)
        positions = np.linspace(0, covered - 1, frames) if frames > 1 else np.array([(covered - 1) / 2])
        return cls(positions, covered, "maps are spread evenly over the video", grid)

    @property
    def note(self) -> str | None:
        """How the video contradicts its manifest, and what is done about it; None if it does not."""
        if self.placement is None:
            return None
        frames = len(self.positions)
        shown = "1 frame" if frames == 1 else f"{frames:,} frames"
        found = f"the video has {shown}, the grid in its manifest covers {self.generated:,}"
        return f"{found}: {self.placement}"

    def maps(self, latent: Float32Array, steps: int | None = None) -> Float32Array:
        """Interpolate latent frames to all frames of the video; see `TimeMapping.at`."""
        return self._mapping(len(latent)).at(latent, self.positions, steps)

    def moments(self, latent: Float32Array, frames: Sequence[int], steps: int | None = None) -> Float32Array:
        """Interpolate latent frames to some frames of the video, given by their numbers; see `TimeMapping.at`."""
        return self._mapping(len(latent)).at(latent, self.positions[np.asarray(frames, dtype=np.intp)], steps)

    def places(self, latent: int) -> Float64Array:
        """Return the latent frame, fractional in between, that each frame of the video shows, of a number of them."""
        return self._mapping(latent).places(latent, self.positions)

    def latent_seconds(self, latent: int, seconds: Float64Array) -> Float64Array:
        """Return the time of each of a number of latent frames: the middle of the video frames that it covers.

        Args:
            latent: number of latent frames.
            seconds: when each frame of the video is shown.

        """
        middle = self._mapping(latent).middle(np.arange(latent, dtype=np.float64))
        return np.interp(middle, self.positions, seconds)

    def _mapping(self, latent: int) -> TimeMapping:
        return TimeMapping.of(latent, self.generated, self._grid)


def covered_frames(grid: Grid) -> int:
    """Return the number of video frames that a latent grid covers."""
    if grid.causal_first_frame:
        return grid.temporal_stride * (grid.frames - 1) + 1
    return grid.temporal_stride * grid.frames


def _covers(grid: Grid, frames: int) -> bool:
    """Whether a grid covers so many frames; its last latent frame may stand for fewer than the others."""
    covered = covered_frames(grid)
    return covered - grid.temporal_stride < frames <= covered
