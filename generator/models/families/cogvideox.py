"""CogVideoX 2B, 5B and 1.5: from text, from an image and from a video."""

from dataclasses import replace

from diffusers.models.attention_processor import CogVideoXAttnProcessor2_0, FusedCogVideoXAttnProcessor2_0

from generator.errors import ModelError
from generator.models.contract import TextAttention, TextPlace
from generator.models.families.base import PipelineModel
from generator.models.families.from_image import FROM_IMAGE
from generator.models.families.sizes import refuse_other_frames
from generator.models.inputs import Takes, Use
from generator.settings import Sampling

LATENT_PAIR = 2
SHORT_SIDE, LONG_SIDE = 768, 1360
"""Sides of the pictures that CogVideoX 1.5 was trained with: the shorter one, and the longest of the longer ones."""


class CogVideoXModel(PipelineModel):
    """Joint attention with the text first and unmasked, guidance in one batch, a causal VAE.

    A token of CogVideoX 1.5 covers a pair of latent frames. Their number is odd, so the pipeline prepends a frame that
    is never decoded. The first pair therefore covers only the first video frame, as a causal first frame does.
    """

    text_place = TextPlace.FIRST
    one_video_per_prompt = True
    attention_function = "scaled_dot_product_attention"
    processors = (CogVideoXAttnProcessor2_0, FusedCogVideoXAttnProcessor2_0)
    float32_vae = False

    @property
    def text_keys(self) -> int:  # type: ignore[override]
        """Number of text tokens that the transformer has positions for."""
        keys: int = self._network.config.max_text_seq_length
        return keys

    def _check_frames(self, frames: int) -> None:
        """Expect an odd number of latent frames: only then does the VAE, which decodes pairs, leave the first alone."""
        refuse_other_frames(self.name, frames, self._strides.time * LATENT_PAIR)

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn1`` of every block."""
        return self._attention_of_blocks("attn1", "transformer_blocks")

    def _recommended(self) -> Sampling:
        if self._network.config.patch_size_t is None:
            return Sampling(720, 480, 49, 8.0, 50, 6.0)
        return Sampling(1360, 768, 81, 16.0, 50, 6.0)

    @property
    def _patch(self) -> tuple[int, int]:
        config = self._network.config
        return config.patch_size_t or 1, config.patch_size


class CogVideoXImageToVideoModel(CogVideoXModel):
    """As from text, with the image's latents beside those that are denoised.

    The 5B model has learned positions for one size. CogVideoX 1.5 has a shorter side of 768 pixels.
    """

    inputs = FROM_IMAGE

    def size_for(self, ratio: float, width: int | None, height: int | None, area: int | None) -> tuple[int, int]:
        """Return the only size of the 5B model, or a size like those in the training of CogVideoX 1.5."""
        if self._only_size is not None:
            return width or self._only_size[0], height or self._only_size[1]
        if width or height or area or self._network.config.patch_size_t is None:
            return super().size_for(ratio, width, height, area)
        multiple = self._multiple
        long = min(round(SHORT_SIDE * max(ratio, 1 / ratio)), LONG_SIDE) // multiple * multiple
        return (long, SHORT_SIDE) if ratio > 1 else (SHORT_SIDE, long)

    def check(self, sampling: Sampling) -> None:
        """Raise ModelError, also for another size than the network has positions for."""
        super().check(sampling)
        only = self._only_size
        if only is not None and (sampling.width, sampling.height) != only:
            raise ModelError(
                f"width {sampling.width}, height {sampling.height}: {self.name} makes only videos of "
                f"{only[0]} x {only[1]} pixels. Omit both settings"
            )

    def _recommended(self) -> Sampling:
        """Return the recommendation, in the only size if there is one."""
        found, only = super()._recommended(), self._only_size
        return found if only is None else replace(found, width=only[0], height=only[1])

    @property
    def _only_size(self) -> tuple[int, int] | None:
        """Width and height for which the network has learned positions; None if it computes them."""
        config, stride = self._network.config, self._strides.space
        if not config.use_learned_positional_embeddings:
            return None
        return config.sample_width * stride, config.sample_height * stride


class CogVideoXVideoToVideoModel(CogVideoXModel):
    """As from text, beginning with the noised latents of a video."""

    inputs = Takes(video=Use.REQUIRED)
    video_argument = "video"


class CogVideoXFunControlModel(CogVideoXModel):
    """As from text, with the latents of a control video beside those that are denoised."""

    inputs = Takes(video=Use.REQUIRED)
    video_argument = "control_video"
