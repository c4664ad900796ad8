"""LTX-2: from text, from an image, and with conditions."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from diffusers.models.transformers.transformer_ltx2 import LTX2AudioVideoAttnProcessor, LTX2PerturbedAttnProcessor
from torch import Tensor, nn

from generator.errors import ModelError
from generator.models.contract import Arguments, LatentGrid, TextAttention, TextPlace
from generator.models.families.base import PipelineModel
from generator.models.inputs import Takes, Use
from generator.prompts.tokens import TokenSequence
from generator.settings import Sampling

NEGATIVE_PROMPT = "worst quality, inconsistent motion, blurry, jittery, distorted"


class LTX2Model(PipelineModel):
    """Cross-attention, guidance in one batch, and two extra calls for further guidance; a causal VAE.

    Prompts are padded on the left. Connectors, which the pipeline calls, move their tokens to the front, fill the rest
    with learned registers and let all of them attend to each other. Audio attends to the text in layers of its own.
    """

    text_keys = 1024
    text_place = TextPlace.APART
    attention_function = "dispatch_attention_fn"
    processors = (LTX2AudioVideoAttnProcessor, LTX2PerturbedAttnProcessor)
    stride_names = ("vae_temporal_compression_ratio", "vae_spatial_compression_ratio")
    branch_names = {"uncond_stg": None, "uncond_modality": None}  # noqa: RUF012 - of the contract
    knows_padding = False

    @property
    def text_stage(self) -> nn.Module:
        """The connectors."""
        stage: nn.Module = self.pipe.connectors
        return stage

    def clean(self, prompt: str) -> str:
        """Strip the prompt, as the pipeline does."""
        return prompt.strip()

    def tokenise(self, text: str) -> TokenSequence:
        """Tokenise with padding on the left."""
        tokenizer = self.tokenizer
        before, tokenizer.padding_side = tokenizer.padding_side, "left"
        try:
            found = self._tokenise(text, self.text_keys)
        finally:
            tokenizer.padding_side = before
        return replace(found, length=self.text_keys, whole_length=max(found.whole_length, self.text_keys))

    def encoded(self, text: Tensor) -> Tensor:
        """Return the last of the hidden states, which lie side by side for each channel."""
        channels: int = self.pipe.connectors.config.caption_channels
        return text.reshape(*text.shape[:-1], channels, -1)[..., -1]

    def text_columns(self, given: Arguments, sample: int) -> Sequence[int] | None:
        """Return the places to which the connectors move the tokens."""
        if self.pipe.connectors.config.video_connector_num_learnable_registers is None:
            return None
        mask = given["attention_mask"][sample].bool().tolist()
        ranks = accumulate(mask, initial=0)
        return [
            rank if valid else sum(mask) + place - rank
            for place, (rank, valid) in enumerate(zip(ranks, mask, strict=False))
        ]

    def guides(self, sampling: Sampling) -> bool:  # noqa: ARG002
        """Return True: audio is guided, whatever the scale of the video's guidance."""
        return True

    def sampling_of(self, given: Arguments) -> Sampling:
        """Refuse a length that the pipeline chooses itself."""
        if given.get("num_frames") is None and getattr(self.pipe, "duration_head", None) is not None:
            raise ModelError(f"num_frames: {self.name} would choose it by the prompt. Pass num_frames")
        return super().sampling_of(given)

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn2`` of every block."""
        return self._attention_of_blocks("attn2", "transformer_blocks")

    def _recommended(self) -> Sampling:
        return Sampling(768, 512, 121, 24.0, 30, 3.0, NEGATIVE_PROMPT)

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        return {**super()._arguments(sampling), "frame_rate": sampling.fps}

    @property
    def _patch(self) -> tuple[int, int]:
        return self.pipe.transformer_temporal_patch_size, self.pipe.transformer_spatial_patch_size


class LTX2ImageModel(LTX2Model):
    """From an image, which goes through the VAE in the type of the other networks."""

    inputs = Takes(image=Use.REQUIRED)
    float32_vae = False


class LTX2ConditionModel(LTX2Model):
    """With images and videos as conditions; latents of keyframes are put behind those of the video."""

    inputs = Takes(image=Use.OPTIONAL, video=Use.OPTIONAL)

    def latent_rows(self, found: int, grid: LatentGrid) -> slice:
        """Return the first ones; behind them are those of keyframes, which are whole frames."""
        extra = found - grid.size
        return slice(grid.size) if extra > 0 and extra % (grid.height * grid.width) == 0 else slice(found)
