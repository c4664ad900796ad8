"""LTX-Video, text to video."""

from typing import Any

from diffusers.models.transformers.transformer_ltx import LTXVideoAttnProcessor

from generator.models.contract import TextAttention, TextPlace
from generator.models.families.base import PipelineModel, Strides
from generator.settings import Sampling

DECODING = {"decode_timestep": 0.05, "decode_noise_scale": 0.025}
"""Recommended decoding settings for VAEs that take a timestep, from version 0.9.1 on."""
NEGATIVE_PROMPT = "worst quality, inconsistent motion, blurry, jittery, distorted"


class LTXModel(PipelineModel):
    """Cross-attention with a mask, guidance in one batch, a causal VAE."""

    text_keys = 128
    text_place = TextPlace.APART
    attention_function = "dispatch_attention_fn"
    processors = (LTXVideoAttnProcessor,)

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn2`` of every block."""
        return self._attention_of_blocks("attn2", "transformer_blocks")

    def _recommended(self) -> Sampling:
        return Sampling(704, 480, 161, 25.0, 50, 3.0, NEGATIVE_PROMPT)

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        """Add the frame rate, on which the temporal positions depend."""
        decoding = DECODING if self.pipe.vae.config.timestep_conditioning else {}
        return {**super()._arguments(sampling), "frame_rate": sampling.fps, **decoding}

    @property
    def _strides(self) -> Strides:
        pipe = self.pipe
        return Strides(
            pipe.vae_temporal_compression_ratio,
            pipe.vae_spatial_compression_ratio,
            pipe.transformer_temporal_patch_size,
            pipe.transformer_spatial_patch_size,
        )
