"""Allegro, from text."""

from diffusers.models.attention_processor import AllegroAttnProcessor2_0

from generator.errors import ModelError
from generator.models.contract import LatentGrid, TextAttention, TextPlace
from generator.models.families.base import PipelineModel, Strides
from generator.settings import Sampling


class AllegroModel(PipelineModel):
    """Cross-attention with a mask, guidance in one batch, a VAE whose latent frames cover four video frames each."""

    text_keys = 512
    text_place = TextPlace.APART
    one_video_per_prompt = True
    attention_function = "scaled_dot_product_attention"
    processors = (AllegroAttnProcessor2_0,)

    def clean(self, prompt: str) -> str:
        """Clean a prompt with the pipeline's own function."""
        cleaned: list[str] = self.pipe._text_preprocessing(prompt, clean_caption=True)
        return cleaned[0]

    def check(self, sampling: Sampling) -> None:
        """Raise ModelError for sizes and numbers of frames that the VAE would round."""
        strides = self._strides
        self._refuse_unknown_settings(sampling)
        self._refuse_other_sizes(sampling, strides.space * strides.patch)
        if sampling.frames % strides.time:
            lower = max(sampling.frames // strides.time, 1) * strides.time
            raise ModelError(
                f"frames {sampling.frames}: {self.name} needs a multiple of {strides.time}. "
                f"Try {lower} or {lower + strides.time}"
            )

    def grid(self, sampling: Sampling) -> LatentGrid:
        """Divide by the strides; no frame stands alone."""
        strides = self._strides
        pixels = strides.space * strides.patch
        return LatentGrid(
            sampling.frames // strides.time, sampling.height // pixels, sampling.width // pixels, strides.time, False
        )

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn2`` of every block."""
        return self._attention_of_blocks("attn2", "transformer_blocks")

    def _recommended(self) -> Sampling:
        return Sampling(1280, 720, 88, 15.0, 100, 7.5)

    @property
    def _strides(self) -> Strides:
        time, space = self.pipe.vae_scale_factor_temporal, self.pipe.vae_scale_factor_spatial
        return Strides(time, space, 1, self._network.config.patch_size)
