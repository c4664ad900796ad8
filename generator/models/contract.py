"""The interface between the generator and a video model: everything that differs between model families.

To add a family, add a module to ``generator.models.families`` and a line to ``generator.models.load.FAMILIES``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np
from diffusers import DiffusionPipeline
from torch import nn

from generator.prompts.tokens import TokenSequence
from generator.settings import Sampling

OnStep = Callable[[int, int], None]
"""Called after each denoising step with the number of finished steps and the total number of steps."""


@dataclass(frozen=True)
class LatentGrid:
    """The grid of a video's latent tokens, and how latent frames map to video frames (FORMAT.md, ``grid``)."""

    frames: int
    height: int
    width: int
    temporal_stride: int
    causal_first_frame: bool

    @property
    def size(self) -> int:
        """Number of latent tokens in a video, which is the number of queries in its attention."""
        return self.frames * self.height * self.width


@dataclass(frozen=True)
class TextAttention:
    """An attention module whose keys include the tokens of the prompt."""

    denoiser: str
    name: str
    module: nn.Module

    @property
    def heads(self) -> int:
        """Number of attention heads."""
        heads: int = self.module.heads  # type: ignore[assignment]
        return heads

    @property
    def dim(self) -> int:
        """Dimension of each head."""
        inner: int = self.module.inner_dim  # type: ignore[assignment]
        return inner // self.heads


class TextPlace(Enum):
    """Position of the text among the keys of a text attention layer."""

    APART = "apart"
    """Cross-attention: all keys are text tokens, all queries are latent tokens."""
    FIRST = "first"
    """Joint attention over one sequence: text tokens, then latent tokens."""
    LAST = "last"
    """Joint attention over one sequence: latent tokens, then text tokens."""


class VideoModel(Protocol):
    """A loaded text-to-video pipeline, and everything that differs between families."""

    pipe: DiffusionPipeline
    name: str
    revision: str | None
    recommended: Sampling

    @property
    def tokenizer(self) -> Any:  # noqa: ANN401 - of transformers
        """The fast tokenizer of the text that the denoising networks attend to."""

    @property
    def text_encoder(self) -> nn.Module | None:
        """The network whose hidden states are that text; None if the pipeline was loaded without it."""

    @property
    def text_keys(self) -> int:
        """Number of text tokens that the model receives, including padding."""

    text_place: TextPlace
    attention_function: str
    """Function that its attention processors call: ``dispatch_attention_fn`` or ``scaled_dot_product_attention``."""
    processors: tuple[type, ...]
    """Attention processor types known to call that function as expected; capture refuses any other."""
    guidance_in_one_batch: bool
    """Whether one call of the network computes both guidance branches, the unconditional one first."""
    frame_by_frame: bool
    """Whether text attention treats each frame as a separate sample, with the text repeated, in layers of
    different resolutions."""
    float32_vae: bool
    """Whether the VAE can stay in float32 while the other networks run in half precision."""

    @property
    def device(self) -> str:
        """Name of the device that runs the denoising networks."""

    @property
    def dtype(self) -> str:
        """Name of the data type of the denoising networks."""

    def clean(self, prompt: str) -> str:
        """Clean a prompt as the pipeline does before tokenising."""

    def tokenise(self, text: str) -> TokenSequence:
        """Tokenise a cleaned prompt as the pipeline does."""

    def check(self, sampling: Sampling) -> None:
        """Check the settings against the model.

        Raises:
            ModelError: if the model lacks a setting, or the pipeline would round the size or the number of frames.

        """

    def grid(self, sampling: Sampling) -> LatentGrid:
        """Return the latent grid of a video made with these settings."""

    def guides(self, sampling: Sampling) -> bool:
        """Whether the pipeline also computes the unconditional branch with these settings."""

    def denoisers(self) -> dict[str, nn.Module]:
        """Return the denoising networks by their names in the pipeline."""

    def text_attention(self) -> list[TextAttention]:
        """Return the attention modules whose keys include the prompt, in the order of their calls."""

    def schedule(self) -> list[tuple[float, float | None]]:
        """Return the timestep and the sigma (None if undefined) of each denoising step of the last call."""

    def passes(self) -> int:
        """How often the pipeline denoises a video, each time from the result before; the steps of the last count."""

    def generate(self, prompt: str, sampling: Sampling, seed: int, on_step: OnStep) -> np.ndarray:
        """Generate a video; return float frames ``[frame, height, width, 3]`` from 0 to 1.

        The initial noise is drawn on the CPU, so that a seed gives the same noise on every device.
        """
