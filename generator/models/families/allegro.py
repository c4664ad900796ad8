"""Allegro, from text."""

from diffusers.models.attention_processor import AllegroAttnProcessor2_0

from generator.errors import ModelError
from generator.models.contract import LatentGrid, TextAttention, TextPlace
from generator.models.families.base import PipelineModel
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

    def _check_frames(self, frames: int) -> None:
        """Raise ModelError for a number of frames that the VAE would round."""
        stride = self._strides.time
        if frames % stride:
            lower = max(frames // stride, 1) * stride
            raise ModelError(
                f"frames {frames}: {self.name} needs a multiple of {stride}. Try {lower} or {lower + stride}"
            )

    def grid(self, sampling: Sampling) -> LatentGrid:
        """Divide by the strides; no frame stands alone."""
        strides = self._strides
        height, width = sampling.height // strides.pixels, sampling.width // strides.pixels
        return LatentGrid(sampling.frames // strides.time, height, width, strides.time, False)

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn2`` of every block."""
        return self._attention_of_blocks("attn2", "transformer_blocks")

    def _recommended(self) -> Sampling:
        return Sampling(1280, 720, 88, 15.0, 100, 7.5)

    @property
    def _patch(self) -> tuple[int, int]:
        return 1, self._network.config.patch_size
