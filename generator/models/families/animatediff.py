"""AnimateDiff and PIA: the text-to-image UNet of Stable Diffusion with motion modules."""

from typing import Any

from diffusers.models.attention_processor import AttnProcessor2_0, FusedAttnProcessor2_0
from torch import nn

from generator.errors import ModelError
from generator.models.contract import TextAttention, TextPlace
from generator.models.families.base import PipelineModel, Strides
from generator.models.inputs import Takes, Use
from generator.settings import Sampling

NEGATIVE_PROMPT = "bad quality, worse quality"
MOTION = "motion_modules"


class AnimateDiffModel(PipelineModel):
    """Cross-attention frame by frame at several resolutions, guidance in one batch, one latent frame per frame.

    The grid is that of the layers with the highest resolution; maps of other layers are enlarged to it. ``attn2`` of a
    motion module attends to other frames, not to text.
    """

    text_place = TextPlace.APART
    one_video_per_prompt = True
    attention_function = "scaled_dot_product_attention"
    processors = (AttnProcessor2_0, FusedAttnProcessor2_0)
    frame_by_frame = True
    float32_vae = False

    @property
    def text_keys(self) -> int:  # type: ignore[override]
        """Number of tokens that the text encoder takes."""
        keys: int = self.pipe.tokenizer.model_max_length
        return keys

    def clean(self, prompt: str) -> str:
        """Expand the placeholder of a textual inversion into one token per vector, as the pipeline does."""
        expanded: str = self.pipe.maybe_convert_prompt(prompt, self.tokenizer)
        return expanded

    def check(self, sampling: Sampling) -> None:
        """Raise ModelError for sizes that the pipeline refuses, and for more frames than the motion modules support."""
        self._refuse_unknown_settings(sampling)
        if getattr(self.pipe, "free_noise_enabled", False):
            raise ModelError(
                f"model {self.name}: FreeNoise computes frames in overlapping windows; capture expects each frame "
                "once. Call disable_free_noise(), or generate without capture"
            )
        self._refuse_other_sizes(sampling, self.pipe.vae_scale_factor)
        most: int = self._network.config.motion_max_seq_length
        if sampling.frames > most:
            raise ModelError(f"frames {sampling.frames}: {self.name} supports at most {most}")

    def passes(self) -> int:
        """Return the iterations of FreeInit, which denoises again with the low frequencies of the result before."""
        return int(self.pipe._free_init_num_iters) if getattr(self.pipe, "free_init_enabled", False) else 1

    def denoisers(self) -> dict[str, nn.Module]:
        """Return the UNet."""
        return {"unet": self.pipe.unet}

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn2`` of the blocks that process single frames, in the order of their calls."""
        return [
            TextAttention("unet", name, module)
            for part in ("down_blocks", "mid_block", "up_blocks")
            for name, module in getattr(self._network, part).named_modules(prefix=part)
            if name.endswith(".attn2") and MOTION not in name
        ]

    def _recommended(self) -> Sampling:
        return Sampling(512, 512, 16, 8.0, 25, 7.5, NEGATIVE_PROMPT)

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        return {"negative_prompt": sampling.negative_prompt, "guidance_scale": sampling.guidance_scale}

    @property
    def _strides(self) -> Strides:
        return Strides(1, self.pipe.vae_scale_factor, 1, 1)


class AnimateDiffVideoModel(AnimateDiffModel):
    """Beginning with the noised latents of a video."""

    inputs = Takes(video=Use.REQUIRED)
    video_argument = "video"


class AnimateDiffControlModel(AnimateDiffModel):
    """With pictures that control each frame, or some."""

    inputs = Takes(video=Use.REQUIRED)


class AnimateDiffPAGModel(AnimateDiffModel):
    """With perturbed-attention guidance, whose sample follows those of both branches."""

    @property
    def extra_samples(self) -> int:  # type: ignore[override]
        """One if the running call uses that guidance."""
        return int(self.pipe.do_perturbed_attention_guidance)


class AnimateDiffSDXLModel(AnimateDiffModel):
    """The UNet of Stable Diffusion XL. Its text is what two encoders make of the same tokens, side by side."""

    def _recommended(self) -> Sampling:
        return Sampling(1024, 1024, 16, 8.0, 20, 8.0, "low quality, worst quality")


class PIAModel(AnimateDiffModel):
    """PIA: animates an image."""

    inputs = Takes(image=Use.REQUIRED)
