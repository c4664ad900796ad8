"""How sizes and numbers of frames become a grid of latent tokens, and which of them a pipeline would round."""

from dataclasses import dataclass

from generator.errors import ModelError
from generator.models.contract import LatentGrid
from generator.settings import Sampling


@dataclass(frozen=True)
class Strides:
    """Video frames and pixels per latent (``time``, ``space``), and latents per token (``patch_time``, ``patch``)."""

    time: int
    space: int
    patch_time: int
    patch: int

    @property
    def frames(self) -> int:
        """Video frames per token."""
        return self.time * self.patch_time

    @property
    def pixels(self) -> int:
        """Pixels per token, along an axis."""
        return self.space * self.patch

    def causal_grid(self, sampling: Sampling) -> LatentGrid:
        """Return the grid of a video whose first latent frame is one video frame."""
        latent_frames = (sampling.frames - 1) // self.time + 1
        return LatentGrid(
            frames=-(-latent_frames // self.patch_time),
            height=sampling.height // self.space // self.patch,
            width=sampling.width // self.space // self.patch,
            temporal_stride=self.frames,
            causal_first_frame=True,
        )


def refuse_other_sizes(model: str, sampling: Sampling, multiple: int) -> None:
    """Raise ModelError for a width or a height that is not a multiple of ``multiple`` pixels."""
    for what, found in (("width", sampling.width), ("height", sampling.height)):
        if found % multiple:
            lower = max(found // multiple, 1) * multiple
            raise ModelError(
                f"{what} {found}: {model} needs a multiple of {multiple}. Try {lower} or {lower + multiple}"
            )


def refuse_other_frames(model: str, frames: int, stride: int) -> None:
    """Raise ModelError for a number of frames that is not ``stride`` x n + 1."""
    if (frames - 1) % stride:
        lower = max(frames - 1, 0) // stride * stride + 1
        raise ModelError(f"frames {frames}: {model} needs {stride}n + 1 frames. Try {lower} or {lower + stride}")
