"""The base class of all adapters: implements the contract as most pipelines need it; a family overrides the rest."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from inspect import signature
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from torch import Tensor, nn

from generator.errors import ModelError
from generator.models.contract import Arguments, LatentGrid, OnStep, TextAttention, TextPlace
from generator.models.families import noise_levels
from generator.models.families.from_image import TextOnly
from generator.models.families.sizes import Strides, refuse_other_frames, refuse_other_sizes
from generator.models.families.tokenising import tokenised, tokenised_between
from generator.models.inputs import Images
from generator.prompts.tokens import TokenSequence
from generator.settings import Sampling

BRANCH_NAMES: Mapping[str, str | None] = MappingProxyType({"cond": "cond", "uncond": "uncond"})


class PipelineModel(TextOnly, ABC):
    """A diffusers pipeline with one tokenizer, one or more denoising networks and a scheduler.

    Properties that all denoising networks share are read from the first one. `generator.models.contract.VideoModel`
    documents the class attributes.
    """

    text_keys: int
    text_place: TextPlace
    attention_function: str
    processors: tuple[type, ...]
    guidance_in_one_batch = True
    branch_names = BRANCH_NAMES
    extra_samples = 0
    rearranges_text = False
    one_video_per_prompt = False
    knows_padding = True
    frame_by_frame = False
    float32_vae = True
    frames_argument = "num_frames"
    """Argument of the pipeline that takes the number of frames."""
    stride_names = ("vae_scale_factor_temporal", "vae_scale_factor_spatial")
    """What the pipeline calls the numbers of video frames and of pixels per latent."""
    video_argument: str | None = None
    """Argument of the pipeline that takes an input video; it has the number of frames unless an argument gives it."""

    def __init__(
        self, pipe: DiffusionPipeline, name: str = "", revision: str | None = None, recommended: Sampling | None = None
    ) -> None:
        """Adapt ``pipe``; ``recommended`` replaces the sampling that the family's authors recommend."""
        self.pipe = pipe
        self.name = name
        self.revision = revision
        self.recommended = recommended or self._recommended()
        if not self.tokenizer.is_fast:
            raise ModelError(
                f"model {name}: its tokenizer, {type(self.tokenizer).__name__}, does not report the character offsets "
                "of tokens. Install `tokenizers`, or convert it to a fast tokenizer"
            )

    @property
    def device(self) -> str:
        """Device on which the pipeline computes; with offloading, the weights may be elsewhere."""
        return str(self.pipe._execution_device)

    @property
    def dtype(self) -> str:
        """Data type of the denoising networks; that of the VAE may differ."""
        return str(self._network.dtype).removeprefix("torch.")

    @property
    def tokenizer(self) -> Any:  # noqa: ANN401 - of transformers
        """The pipeline's first tokenizer."""
        return self.pipe.tokenizer

    @property
    def text_encoder(self) -> nn.Module | None:
        """The pipeline's first text encoder."""
        encoder: nn.Module | None = self.pipe.text_encoder
        return encoder

    def clean(self, prompt: str) -> str:
        """Return the prompt unchanged, as most pipelines do."""
        return prompt

    def tokenise(self, text: str) -> TokenSequence:
        """Tokenise as the pipeline does, padded and truncated, with character offsets."""
        return self._tokenise(text, self.text_keys)

    def check(self, sampling: Sampling) -> None:
        """Raise ModelError for values that the pipeline would round and for settings that it lacks."""
        if sampling.guidance_scale_2 is not None and len(self.denoisers()) == 1:
            raise ModelError(
                f"guidance_scale_2 {sampling.guidance_scale_2:g}: {self.name} has only one denoising network. Omit it"
            )
        noise_levels.require_shift(self.name, self.pipe.scheduler, sampling.flow_shift)
        refuse_other_sizes(self.name, sampling, self._multiple)
        self._check_frames(sampling.frames)

    def _check_frames(self, frames: int) -> None:
        """Raise ModelError for a number of frames that the pipeline would round."""
        refuse_other_frames(self.name, frames, self._strides.frames)

    def grid(self, sampling: Sampling) -> LatentGrid:
        """Divide by the strides of the VAE, whose first latent frame is one video frame, and by the patch size."""
        return self._strides.causal_grid(sampling)

    def guides(self, sampling: Sampling) -> bool:
        """Whether the guidance scale is above 1; at 1 there is no guidance."""
        return sampling.guidance_scale > 1

    def is_guided(self) -> bool:
        """Ask the pipeline: whether it uses guidance, or whether its guidance scale is above 1."""
        found = getattr(self.pipe, "do_classifier_free_guidance", None)
        return bool(self.pipe.guidance_scale > 1) if found is None else bool(found)

    def sampling_of(self, given: Arguments) -> Sampling:
        """Read the arguments; where one is missing, the model's recommendation holds."""
        recommended = self.recommended
        return Sampling(
            width=given.get("width") or recommended.width,
            height=given.get("height") or recommended.height,
            frames=self._frames_of(given),
            fps=recommended.fps,
            steps=given.get("num_inference_steps") or recommended.steps,
            guidance_scale=self._guidance_of(given),
        )

    def _frames_of(self, given: Arguments) -> int:
        video = given.get(self.video_argument) if self.video_argument else None
        frames: int | None = given.get(self.frames_argument)
        if video is not None and frames is None:
            return len(video) if isinstance(video, Sequence) else int(video.shape[-4])
        return frames or self.recommended.frames

    def _guidance_of(self, given: Arguments) -> float:
        return float(given["guidance_scale"])

    @property
    def text_stage(self) -> nn.Module | None:
        """None, as for most pipelines."""
        return None

    def encoded(self, text: Tensor) -> Tensor:
        """Return the text unchanged."""
        return text

    def text_columns(self, given: Arguments, sample: int) -> Sequence[int] | None:  # noqa: ARG002
        """Return None, as for most pipelines."""
        return None

    def latent_rows(self, found: int, grid: LatentGrid) -> slice:  # noqa: ARG002
        """Return all, as for most pipelines."""
        return slice(found)

    def denoisers(self) -> dict[str, nn.Module]:
        """Return ``transformer``, the only denoising network."""
        return {"transformer": self.pipe.transformer}

    @abstractmethod
    def text_attention(self) -> list[TextAttention]:
        """Return the attention modules whose keys include the prompt, in the order of their calls."""

    def announced(self) -> int:
        """Return the number of timesteps that the pipeline announces, or else its scheduler."""
        timesteps = getattr(self.pipe.scheduler, "timesteps", None)
        return int(getattr(self.pipe, "_num_timesteps", 0 if timesteps is None else len(timesteps)))

    def schedule(self) -> list[tuple[float, float | None]]:
        """Read the scheduler's noise levels; a pipeline that begins with a video uses the last ones only."""
        levels = noise_levels.levels(self.pipe.scheduler)
        return levels[len(levels) - min(self.announced(), len(levels)) :]

    def passes(self) -> int:
        """Return 1, as for most pipelines."""
        return 1

    def generate(
        self, prompt: str, sampling: Sampling, seed: int, on_step: OnStep, images: Images | None = None
    ) -> np.ndarray:
        """Call the pipeline with a generator seeded on the CPU."""
        if sampling.flow_shift is not None:
            self.pipe.scheduler = noise_levels.shifted(self.pipe.scheduler, sampling.flow_shift)
        result = self.pipe(
            prompt=prompt,
            num_inference_steps=sampling.steps,
            generator=torch.Generator("cpu").manual_seed(seed),
            output_type="np",
            **self._size_arguments(sampling),
            **self._callback(on_step),
            **self._arguments(sampling),
            **self._image_arguments(images),
        )
        frames: np.ndarray = result.frames[0]
        return frames

    def _size_arguments(self, sampling: Sampling) -> dict[str, Any]:
        return {"height": sampling.height, "width": sampling.width, self.frames_argument: sampling.frames}

    def _callback(self, on_step: OnStep) -> dict[str, Any]:
        """Return the arguments that let a pipeline report its steps; none if it cannot."""

        def step_done(pipe: DiffusionPipeline, step: int, _time: object, _tensors: object) -> dict[str, object]:
            on_step(step + 1, pipe.num_timesteps)
            return {}

        if "callback_on_step_end" not in signature(type(self.pipe).__call__).parameters:
            return {}
        return {"callback_on_step_end": step_done, "callback_on_step_end_tensor_inputs": []}

    @abstractmethod
    def _recommended(self) -> Sampling:
        """Return the sampling that the model's authors recommend."""

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        """Return the arguments of the pipeline's call that differ between families."""
        return {
            "negative_prompt": sampling.negative_prompt,
            "guidance_scale": sampling.guidance_scale,
            "max_sequence_length": self.text_keys,
        }

    @property
    def _network(self) -> Any:  # noqa: ANN401 - its type differs between families
        return next(iter(self.denoisers().values()))

    @property
    def _multiple(self) -> int:
        return self._strides.pixels

    @property
    def _strides(self) -> Strides:
        """Strides of the VAE and size of the patches."""
        time, space = (getattr(self.pipe, name) for name in self.stride_names)
        return Strides(time, space, *self._patch)

    @property
    def _patch(self) -> tuple[int, int]:
        """Latent frames and latents per token, along an axis."""
        time, space, _ = self._network.config.patch_size
        return time, space

    def _attention_of_blocks(self, attention: str, *kinds: str) -> list[TextAttention]:
        """List the module ``attention`` of every block in the block lists named ``kinds``."""
        return [
            TextAttention(name, f"{kind}.{index}.{attention}", getattr(block, attention))
            for name, denoiser in self.denoisers().items()
            for kind in kinds
            for index, block in enumerate(getattr(denoiser, kind))
        ]

    def _tokenise(self, text: str, length: int) -> TokenSequence:
        return tokenised(self.tokenizer, text, length)

    def _tokenise_between(self, before: str, text: str, after: str, length: int, *, start: int = 0) -> TokenSequence:
        return tokenised_between(self.tokenizer, before, text, after, length=length, start=start)
