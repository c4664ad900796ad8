"""LTX-Video: from text, from an image, and with images and videos as conditions."""

from typing import Any

from diffusers.models.transformers.transformer_ltx import LTXVideoAttnProcessor

from generator.models.contract import LatentGrid, TextAttention, TextPlace
from generator.models.families.base import PipelineModel
from generator.models.families.from_image import FROM_IMAGE
from generator.models.inputs import Takes, Use
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
    stride_names = ("vae_temporal_compression_ratio", "vae_spatial_compression_ratio")

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
    def _patch(self) -> tuple[int, int]:
        return self.pipe.transformer_temporal_patch_size, self.pipe.transformer_spatial_patch_size


class LTXImageToVideoModel(LTXModel):
    """As from text. The image goes through the VAE in the type of the other networks."""

    inputs = FROM_IMAGE
    float32_vae = False


class LTXConditionModel(LTXModel):
    """As from text, with up to 256 text tokens; latents of keyframes are put before those of the video."""

    text_keys = 256
    inputs = Takes(image=Use.OPTIONAL, video=Use.OPTIONAL)

    def latent_rows(self, found: int, grid: LatentGrid) -> slice:
        """Return the last ones; before them are those of keyframes, which are whole frames."""
        extra = found - grid.size
        return slice(extra, None) if extra > 0 and extra % (grid.height * grid.width) == 0 else slice(found)

    def _recommended(self) -> Sampling:
        return Sampling(768, 512, 161, 24.0, 40, 3.0, NEGATIVE_PROMPT)
