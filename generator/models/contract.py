"""The interface between the generator and a video model: everything that differs between model families.

To add a family, add a module to ``generator.models.families`` and its classes to ``generator.models.registry``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np
from diffusers import DiffusionPipeline
from torch import Tensor, nn

from generator.models.inputs import Images
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
        name = "heads" if hasattr(self.module, "heads") else "num_heads"
        return int(getattr(self.module, name))

    @property
    def dim(self) -> int:
        """Dimension of each head."""
        module: Any = self.module
        inner: int = module.inner_dim if hasattr(module, "inner_dim") else module.to_query.out_features
        return inner // self.heads


class TextPlace(Enum):
    """Position of the text among the keys of a text attention layer."""

    APART = "apart"
    """Cross-attention: all keys are text tokens, all queries are latent tokens."""
    FIRST = "first"
    """Joint attention over one sequence: text tokens, then latent tokens."""
    LAST = "last"
    """Joint attention over one sequence: latent tokens, then text tokens."""


Arguments = Mapping[str, Any]
"""Arguments of a call, of a network or of a pipeline, by name."""


class VideoModel(Protocol):
    """A loaded pipeline that makes videos from prompts, and everything that differs between families."""

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
    branch_names: Mapping[str, str | None]
    """Guidance branch by the name that the pipeline gives to a call; None for extra calls, which are not recorded."""
    extra_samples: int
    """Number of samples of further guidance behind those of both branches in a batch; they are not recorded."""
    rearranges_text: bool
    """Whether rows of the text encoder's output are left out, moved, or put behind others, before the network's call.
    Then each row is looked for by its values."""
    one_video_per_prompt: bool
    """Whether the pipeline ignores ``num_videos_per_prompt`` and makes one."""
    knows_padding: bool
    """Whether all text keys without a token of the prompt are its padding."""
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

    def size_for(self, ratio: float, width: int | None, height: int | None, area: int | None) -> tuple[int, int]:
        """Return width and height of a video for an image whose width is ``ratio`` times its height.

        Args:
            ratio: aspect ratio of the image
            width: as wanted, if it is; as it is returned
            height: as wanted, if it is; as it is returned
            area: largest number of pixels; None for that of the recommended size

        """

    def grid(self, sampling: Sampling) -> LatentGrid:
        """Return the latent grid of a video made with these settings."""

    def guides(self, sampling: Sampling) -> bool:
        """Whether the pipeline also computes the unconditional branch with these settings."""

    def is_guided(self) -> bool:
        """Whether the running call of the pipeline also computes the unconditional branch."""

    def sampling_of(self, given: Arguments) -> Sampling:
        """Return the sampling of a call of the pipeline with these arguments; the negative prompt is that of ``given``.

        Raises:
            ModelError: for arguments with which attention cannot be captured.

        """

    def denoisers(self) -> dict[str, nn.Module]:
        """Return the denoising networks by their names in the pipeline."""

    def text_attention(self) -> list[TextAttention]:
        """Return the attention modules whose keys include the prompt, in the order of their calls."""

    @property
    def text_stage(self) -> nn.Module | None:
        """Network between text encoder and denoising network that the pipeline itself calls; None for most models."""

    def encoded(self, text: Tensor) -> Tensor:
        """Return what a stage or network received as text as the encoder's hidden states: ``[.., position, channel]``.

        A few channels suffice.
        """

    def text_columns(self, given: Arguments, sample: int) -> Sequence[int] | None:
        """Return the place among a layer's text keys of each text position; None if they are in the same order.

        Args:
            given: arguments of the network's call, or those of `text_stage`, if there is one
            sample: number of the sample in the batch

        """

    def latent_rows(self, found: int, grid: LatentGrid) -> slice:
        """Return the latent tokens of the video among ``found`` latent tokens: some models add others."""

    def announced(self) -> int:
        """Return the number of denoising steps of the running call, known as soon as denoising has begun; else 0."""

    def schedule(self) -> list[tuple[float, float | None]]:
        """Return the timestep and the sigma (None if undefined) of each denoising step of the last call."""

    def passes(self) -> int:
        """How often the pipeline denoises a video, each time from the result before; the steps of the last count."""

    def generate(
        self, prompt: str, sampling: Sampling, seed: int, on_step: OnStep, images: Images | None = None
    ) -> np.ndarray:
        """Generate a video, from ``images`` if the pipeline takes any.

        Return float frames ``[frame, height, width, 3]`` from 0 to 1.

        The initial noise is drawn on the CPU, so that a seed gives the same noise on every device.
        """
