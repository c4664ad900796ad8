"""Mochi 1, text to video."""

from diffusers.models.attention_processor import MochiAttnProcessor2_0

from generator.models.contract import TextAttention, TextPlace
from generator.models.families.base import PipelineModel
from generator.settings import Sampling


class MochiModel(PipelineModel):
    """Joint attention with the text last, guidance in one batch, a causal VAE.

    The processor handles the samples of a batch one by one, each with the tokens of its text only; padding is not
    among the keys.
    """

    text_keys = 256
    text_place = TextPlace.LAST
    attention_function = "scaled_dot_product_attention"
    processors = (MochiAttnProcessor2_0,)
    stride_names = ("vae_temporal_scale_factor", "vae_spatial_scale_factor")
    float32_vae = False

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn1`` of every block."""
        return self._attention_of_blocks("attn1", "transformer_blocks")

    def _recommended(self) -> Sampling:
        return Sampling(848, 480, 85, 30.0, 64, 4.5)

    @property
    def _patch(self) -> tuple[int, int]:
        return 1, self.pipe.patch_size
