"""Loading a diffusers pipeline, and what the rest of the generator has to know about its family.

`VideoModel` is the contract: everything that differs between model families is behind it. A new family is one
more class and one more line in ``FAMILIES``.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import diffusers
import huggingface_hub
import numpy as np
import torch
import transformers
from torch import nn

from generator import tiny
from generator.config import ModelSettings, Sampling
from generator.errors import ModelError
from generator.tokens import TokenSequence

log = logging.getLogger(__name__)

OnStep = Callable[[int, int], None]
"""Called after each denoising step with the number of steps done and of all steps."""


@dataclass(frozen=True)
class LatentGrid:
    """The grid of latent tokens that a video is made on, and how its frames map to video frames (FORMAT.md)."""

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
    """An attention module whose keys are the prompt's tokens."""

    denoiser: str
    name: str
    module: nn.Module


class VideoModel(Protocol):
    """A loaded text-to-video pipeline, and all that differs between families."""

    pipe: Any
    name: str
    revision: str | None
    recommended: Sampling
    text_keys: int
    """Number of keys in its text attention, padding included."""
    attention_function: str
    """Name by which the attention processors look up the function that takes query and key."""

    def clean(self, prompt: str) -> str:
        """Clean a prompt as the pipeline does before it tokenises it."""

    def tokenise(self, text: str) -> TokenSequence:
        """Tokenise a cleaned prompt as the pipeline does."""

    def check(self, sampling: Sampling) -> None:
        """Raise ModelError for a size or a number of frames that the pipeline would round."""

    def grid(self, sampling: Sampling) -> LatentGrid:
        """Return the latent grid of a video."""

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


class WanModel:
    """Wan 2.1 and 2.2 text to video: separate text attention, guidance as two calls, a causal VAE.

    Wan pads a prompt to 512 tokens and masks none of them, so all of them are keys.
    """

    text_keys = 512
    attention_function = "dispatch_attention_fn"
    frame_rate = 16.0

    def __init__(
        self, pipe: Any, name: str = "", revision: str | None = None, recommended: Sampling | None = None
    ) -> None:
        """Adapt ``pipe``; ``recommended`` stands in for Wan's own 81 frames of 832x480 in 50 steps."""
        self.pipe = pipe
        self.name = name
        self.revision = revision
        self.recommended = recommended or Sampling(832, 480, 81, self.frame_rate, 50, 5.0)
        if not pipe.tokenizer.is_fast:
            raise ModelError(
                f"model {name}: its tokenizer, {type(pipe.tokenizer).__name__}, does not tell which characters a "
                "token stands for. Install `tokenizers`, or convert it to a fast tokenizer"
            )

    def clean(self, prompt: str) -> str:
        """Clean a prompt with the function that the pipeline's own module calls."""
        cleaned: str = import_module(type(self.pipe).__module__).prompt_clean(prompt)
        return cleaned

    def tokenise(self, text: str) -> TokenSequence:
        """Tokenise as ``_get_t5_prompt_embeds`` does, with the offsets of characters."""
        tokenizer = self.pipe.tokenizer
        found = tokenizer(
            text,
            padding="max_length",
            max_length=self.text_keys,
            truncation=True,
            add_special_tokens=True,
            return_offsets_mapping=True,
        )
        whole = tokenizer(text, add_special_tokens=True, verbose=False)
        return TokenSequence(
            text=text,
            ids=tuple(found["input_ids"]),
            offsets=tuple(found["offset_mapping"]),
            pieces=tuple(tokenizer.convert_ids_to_tokens(found["input_ids"])),
            length=sum(found["attention_mask"]),
            whole_length=len(whole["input_ids"]),
        )

    def check(self, sampling: Sampling) -> None:
        """Raise for what the pipeline would silently round: sizes, and frames that are not stride x n + 1."""
        for what, found, multiple in zip(
            ("width", "height"), (sampling.width, sampling.height), self._multiples(), strict=True
        ):
            if found % multiple:
                lower = max(found // multiple, 1) * multiple
                raise ModelError(
                    f"{what} {found}: {self.name} makes multiples of {multiple}. Try {lower} or {lower + multiple}"
                )
        stride = self.pipe.vae_scale_factor_temporal
        if sampling.frames % stride != 1:
            lower = max(sampling.frames - 1, 0) // stride * stride + 1
            raise ModelError(
                f"frames {sampling.frames}: {self.name} makes {stride}n + 1 frames. Try {lower} or {lower + stride}"
            )

    def grid(self, sampling: Sampling) -> LatentGrid:
        """Divide by the strides of the VAE and by the transformer's patches."""
        patch = self._transformer.config.patch_size
        stride, space = self.pipe.vae_scale_factor_temporal, self.pipe.vae_scale_factor_spatial
        return LatentGrid(
            frames=((sampling.frames - 1) // stride + 1) // patch[0],
            height=sampling.height // space // patch[1],
            width=sampling.width // space // patch[2],
            temporal_stride=stride * patch[0],
            causal_first_frame=True,
        )

    def denoisers(self) -> dict[str, nn.Module]:
        """Return ``transformer`` and, of Wan 2.2, ``transformer_2``, which denoises at low noise."""
        names = ("transformer", "transformer_2")
        return {name: getattr(self.pipe, name) for name in names if getattr(self.pipe, name) is not None}

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn2`` of every block."""
        return [
            TextAttention(name, f"blocks.{index}.attn2", block.attn2)
            for name, denoiser in self.denoisers().items()
            for index, block in enumerate(denoiser.blocks)  # type: ignore[arg-type]
        ]

    def schedule(self) -> list[tuple[float, float | None]]:
        """Read what the scheduler was set to."""
        scheduler = self.pipe.scheduler
        timesteps = scheduler.timesteps.tolist()
        return list(zip(map(float, timesteps), scheduler.sigmas.tolist()[: len(timesteps)], strict=True))

    def generate(self, prompt: str, sampling: Sampling, seed: int, on_step: OnStep) -> np.ndarray:
        """Call the pipeline."""

        def step_done(pipe: Any, step: int, _timestep: Any, _tensors: Any) -> dict[str, Any]:
            on_step(step + 1, pipe.num_timesteps)
            return {}

        result = self.pipe(
            prompt=prompt,
            negative_prompt=sampling.negative_prompt,
            height=sampling.height,
            width=sampling.width,
            num_frames=sampling.frames,
            num_inference_steps=sampling.steps,
            guidance_scale=sampling.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(seed),
            output_type="np",
            callback_on_step_end=step_done,
            callback_on_step_end_tensor_inputs=[],
            max_sequence_length=self.text_keys,
        )
        frames: np.ndarray = result.frames[0]
        return frames

    @property
    def _transformer(self) -> Any:
        return next(iter(self.denoisers().values()))

    def _multiples(self) -> tuple[int, int]:
        """What width and height must be multiples of; the pipeline itself wants 16 whatever the VAE."""
        patch = self._transformer.config.patch_size
        space = self.pipe.vae_scale_factor_spatial
        return max(space * patch[2], 16), max(space * patch[1], 16)


FAMILIES: dict[str, type[WanModel]] = {"WanPipeline": WanModel}
"""Pipeline class of diffusers -> adapter."""


def load(settings: ModelSettings) -> VideoModel:
    """Load a pipeline: ``tiny``, a folder in the format of diffusers, or a model of the Hugging Face hub.

    Raises:
        ModelError: if there is no such model, its family is not known, or the device is not there.

    """
    device = _device(settings.device)
    dtype = _dtype(settings.dtype, device)
    _quieten()
    source = str(tiny.folder()) if settings.id == tiny.NAME else settings.id
    family = _family(settings, source)
    try:
        # A VAE in half precision shows; every family's own instructions keep it in float32.
        pipe = diffusers.DiffusionPipeline.from_pretrained(
            source, revision=settings.revision, dtype={"default": dtype, "vae": torch.float32}
        )
        pipe.to(device)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise ModelError(f"model {settings.id} cannot be loaded: {_first_line(error)}") from error
    pipe.set_progress_bar_config(disable=True)
    recommended = tiny.RECOMMENDED if settings.id == tiny.NAME else None
    return family(pipe, settings.id, _revision(settings, source), recommended)


def _family(settings: ModelSettings, source: str) -> type[WanModel]:
    """Read the pipeline's class from its index, before anything large is loaded."""
    try:
        index = diffusers.DiffusionPipeline.load_config(source, revision=settings.revision)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"model {settings.id}: found no pipeline there ({_first_line(error)}). Expected `{tiny.NAME}`, a folder "
            "with a model_index.json, or the name of a model on the Hugging Face hub and a network to reach it"
        ) from error
    found = index.get("_class_name")
    if found not in FAMILIES:
        raise ModelError(
            f"model {settings.id} is a {found}, whose attention this generator does not know. "
            f"Known are: {', '.join(sorted(FAMILIES))}"
        )
    return FAMILIES[found]


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {name} cannot be used: {_first_line(error)}. Try `cpu` or `auto`") from error
    return device


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def _revision(settings: ModelSettings, source: str) -> str | None:
    """Tell which version was loaded: the hub's commit, or what the embedded model was built from."""
    if settings.id == tiny.NAME:
        return Path(source).name.removeprefix(f"{tiny.NAME}-")
    if Path(source).is_dir():
        return settings.revision
    index = huggingface_hub.try_to_load_from_cache(source, "model_index.json", revision=settings.revision)
    return Path(index).parent.name if isinstance(index, str) else settings.revision


def _quieten() -> None:
    """Silence the libraries' own bars and notes: progress is shown by the batch."""
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
