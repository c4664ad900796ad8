"""Latte, from text."""

from typing import Any

from diffusers.models.attention_processor import AttnProcessor2_0

from generator.models.contract import TextAttention, TextPlace
from generator.models.families.base import PipelineModel
from generator.models.families.sizes import Strides
from generator.settings import Sampling


class LatteModel(PipelineModel):
    """Cross-attention frame by frame to the tokens of the prompt, without padding; guidance in one batch."""

    text_keys = 120
    text_place = TextPlace.APART
    attention_function = "scaled_dot_product_attention"
    processors = (AttnProcessor2_0,)
    frame_by_frame = True
    rearranges_text = True
    knows_padding = False
    frames_argument = "video_length"

    def clean(self, prompt: str) -> str:
        """Clean a prompt with the pipeline's own function."""
        cleaned: list[str] = self.pipe._text_preprocessing(prompt, clean_caption=True)
        return cleaned[0]

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn2`` of the blocks that see one frame."""
        return self._attention_of_blocks("attn2", "transformer_blocks")

    def _recommended(self) -> Sampling:
        return Sampling(512, 512, 16, 8.0, 50, 7.5)

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        return {"negative_prompt": sampling.negative_prompt, "guidance_scale": sampling.guidance_scale}

    @property
    def _strides(self) -> Strides:
        return Strides(1, self.pipe.vae_scale_factor, 1, self._network.config.patch_size)
