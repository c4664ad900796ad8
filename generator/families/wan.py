"""Wan 2.1 and 2.2, text to video."""

import sys

import numpy as np
import torch
from diffusers import DiffusionPipeline, WanTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from torch import nn

from generator.config import Sampling
from generator.errors import ModelError
from generator.families.contract import LatentGrid, OnStep, TextAttention, TextPlace
from generator.tokens import TokenSequence


class WanModel:
    """Wan 2.1 and 2.2 text to video: separate text attention, guidance as two calls, a causal VAE.

    Wan pads a prompt to 512 tokens and masks none of them, so all of them are keys.
    """

    text_keys = 512
    text_place = TextPlace.APART
    attention_function = "dispatch_attention_fn"
    processors: tuple[type, ...] = (WanAttnProcessor,)
    guidance_in_one_batch = False
    frame_by_frame = False
    frame_rate = 16.0

    def __init__(
        self, pipe: DiffusionPipeline, name: str = "", revision: str | None = None, recommended: Sampling | None = None
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

    @property
    def device(self) -> str:
        """Where the transformer is."""
        return str(self._transformer.device)

    @property
    def dtype(self) -> str:
        """What the transformer computes in; the VAE may differ."""
        return str(self._transformer.dtype).removeprefix("torch.")

    def clean(self, prompt: str) -> str:
        """Clean a prompt with the function that the pipeline's own module calls."""
        cleaned: str = sys.modules[type(self.pipe).__module__].prompt_clean(prompt)
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
        across, down = self._multiples()
        self._refuse_other_multiples("width", sampling.width, across)
        self._refuse_other_multiples("height", sampling.height, down)
        stride = self.pipe.vae_scale_factor_temporal
        if sampling.frames % stride != 1:
            lower = max(sampling.frames - 1, 0) // stride * stride + 1
            raise ModelError(
                f"frames {sampling.frames}: {self.name} makes {stride}n + 1 of them. Try {lower} or {lower + stride}"
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

        def step_done(pipe: DiffusionPipeline, step: int, _time: object, _tensors: object) -> dict[str, object]:
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
    def _transformer(self) -> WanTransformer3DModel:
        return next(iter(self.denoisers().values()))

    def _multiples(self) -> tuple[int, int]:
        """Return what width and height must be multiples of; 16 is what the pipeline itself asks for."""
        patch = self._transformer.config.patch_size
        space = self.pipe.vae_scale_factor_spatial
        return max(space * patch[2], 16), max(space * patch[1], 16)

    def _refuse_other_multiples(self, what: str, found: int, multiple: int) -> None:
        if found % multiple:
            lower = max(found // multiple, 1) * multiple
            raise ModelError(
                f"{what} {found}: {self.name} makes multiples of {multiple}. Try {lower} or {lower + multiple}"
            )
