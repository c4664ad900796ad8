"""What the rest of the generator has to know of a model: everything that differs between families.

A new family is one more module here, and one more line in ``generator.models.load.FAMILIES``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from diffusers import DiffusionPipeline
from torch import nn

from generator.prompts.tokens import TokenSequence
from generator.settings import Sampling

OnStep = Callable[[int, int], None]
"""Called after each denoising step with the number of steps done and of all steps."""


@dataclass(frozen=True)
class LatentGrid:
    """The grid of latent tokens of a video, and how it maps to video frames (FORMAT.md, ``grid``)."""

    frames: int
    height: int
    width: int
    temporal_stride: int
    causal_first_frame: bool

    @property
    def size(self) -> int:
        """Number of latent tokens of a video, which is the number of queries in its attention."""
        return self.frames * self.height * self.width


@dataclass(frozen=True)
class TextAttention:
    """An attention module among whose keys are the prompt's tokens."""

    denoiser: str
    name: str
    module: nn.Module

    @property
    def heads(self) -> int:
        """Number of its attention heads."""
        heads: int = self.module.heads  # type: ignore[assignment]
        return heads


class TextPlace(Enum):
    """Where the text stands among the keys of text attention."""

    APART = "apart"
    """The keys are text only, the queries are video only."""
    FIRST = "first"
    """Text and video are one sequence, text first."""
    LAST = "last"
    """Text and video are one sequence, video first."""


class VideoModel(Protocol):
    """A loaded text-to-video pipeline, and all that differs between families."""

    pipe: DiffusionPipeline
    name: str
    revision: str | None
    recommended: Sampling

    @property
    def text_keys(self) -> int:
        """Number of text tokens that it is given, padding included."""

    text_place: TextPlace
    attention_function: str
    """What its processors call with query and key: ``dispatch_attention_fn`` or ``scaled_dot_product_attention``."""
    processors: tuple[type, ...]
    """Types of attention processors that call it as expected; any other is refused."""
    guidance_in_one_batch: bool
    """Whether one call of the network computes both branches of guidance, the unconditional one first."""
    frame_by_frame: bool
    """Whether its text attention takes each frame as a sample of its own, with the text repeated, in layers of
    different sizes."""
    float32_vae: bool
    """Whether its VAE can stay in float32 when the rest is in half precision."""

    @property
    def device(self) -> str:
        """Name of the device that it denoises on."""

    @property
    def dtype(self) -> str:
        """Name of the type that it denoises in."""

    def clean(self, prompt: str) -> str:
        """Clean a prompt as the pipeline does before it tokenises it."""

    def tokenise(self, text: str) -> TokenSequence:
        """Tokenise a cleaned prompt as the pipeline does."""

    def check(self, sampling: Sampling) -> None:
        """Raise ModelError for a size or a number of frames that the pipeline would round."""

    def grid(self, sampling: Sampling) -> LatentGrid:
        """Return the latent grid of a video."""

    def guides(self, sampling: Sampling) -> bool:
        """Tell whether the unconditional branch is computed too."""

    def denoisers(self) -> dict[str, nn.Module]:
        """Return the networks that denoise, by their names in the pipeline."""

    def text_attention(self) -> list[TextAttention]:
        """Return the attention modules whose keys are text, in the order in which they are called."""

    def schedule(self) -> list[tuple[float, float | None]]:
        """Return timestep and sigma of each denoising step of the last call."""

    def generate(self, prompt: str, sampling: Sampling, seed: int, on_step: OnStep) -> np.ndarray:
        """Make a video: float frames ``[frame, height, width, 3]`` from 0 to 1.

        The noise is drawn on the CPU, so that a seed means the same on any device.
        """
