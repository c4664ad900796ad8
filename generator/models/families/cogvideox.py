"""CogVideoX 2B, 5B and 1.5: from text, and from a video."""

from diffusers.models.attention_processor import CogVideoXAttnProcessor2_0, FusedCogVideoXAttnProcessor2_0

from generator.models.contract import TextAttention, TextPlace
from generator.models.families.base import PipelineModel, Strides
from generator.models.inputs import Takes, Use
from generator.settings import Sampling

LATENT_PAIR = 2


class CogVideoXModel(PipelineModel):
    """Joint attention with the text first and unmasked, guidance in one batch, a causal VAE.

    A token of CogVideoX 1.5 covers a pair of latent frames. Their number is odd, so the pipeline prepends a frame that
    is never decoded. The first pair therefore covers only the first video frame, as a causal first frame does.
    """

    text_place = TextPlace.FIRST
    attention_function = "scaled_dot_product_attention"
    processors = (CogVideoXAttnProcessor2_0, FusedCogVideoXAttnProcessor2_0)
    float32_vae = False

    @property
    def text_keys(self) -> int:  # type: ignore[override]
        """Number of text tokens that the transformer has positions for."""
        keys: int = self._network.config.max_text_seq_length
        return keys

    def check(self, sampling: Sampling) -> None:
        """Raise ModelError for sizes and numbers of frames that differ from those in training.

        The VAE decodes latent frames in pairs, and decodes the first frame alone only if their number is odd.
        """
        strides = self._strides
        self._refuse_unknown_settings(sampling)
        self._refuse_other_sizes(sampling, strides.space * strides.patch)
        self._refuse_other_frames(sampling.frames, strides.time * LATENT_PAIR)

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn1`` of every block."""
        return self._attention_of_blocks("attn1", "transformer_blocks")

    def _recommended(self) -> Sampling:
        if self._network.config.patch_size_t is None:
            return Sampling(720, 480, 49, 8.0, 50, 6.0)
        return Sampling(1360, 768, 81, 16.0, 50, 6.0)

    @property
    def _strides(self) -> Strides:
        config = self._network.config
        time, space = self.pipe.vae_scale_factor_temporal, self.pipe.vae_scale_factor_spatial
        return Strides(time, space, config.patch_size_t or 1, config.patch_size)


class CogVideoXVideoToVideoModel(CogVideoXModel):
    """As from text, beginning with the noised latents of a video."""

    inputs = Takes(video=Use.REQUIRED)
    video_argument = "video"


class CogVideoXFunControlModel(CogVideoXModel):
    """As from text, with the latents of a control video beside those that are denoised."""

    inputs = Takes(video=Use.REQUIRED)
    video_argument = "control_video"
