"""Text-to-video synthesis of ModelScope and Zeroscope."""

from dataclasses import replace
from typing import Any

from diffusers.models.attention_processor import AttnProcessor2_0
from torch import nn

from generator.models.contract import Arguments, TextAttention, TextPlace
from generator.models.families.base import PipelineModel, Strides
from generator.models.inputs import Takes, Use
from generator.settings import Sampling


class TextToVideoSDModel(PipelineModel):
    """Cross-attention frame by frame at several resolutions, guidance in one batch, one latent frame per frame.

    The pipeline does not tell its guidance scale. A batch of two is guided, because there is one prompt.
    """

    text_place = TextPlace.APART
    attention_function = "scaled_dot_product_attention"
    processors = (AttnProcessor2_0,)
    frame_by_frame = True
    float32_vae = False

    @property
    def text_keys(self) -> int:  # type: ignore[override]
        """Number of tokens that the text encoder takes."""
        keys: int = self.pipe.tokenizer.model_max_length
        return keys

    def check(self, sampling: Sampling) -> None:
        """Raise ModelError for sizes that the pipeline refuses."""
        self._refuse_unknown_settings(sampling)
        self._refuse_other_sizes(sampling, self.pipe.vae_scale_factor)

    def is_guided(self) -> bool:
        """Return True."""
        return True

    def denoisers(self) -> dict[str, nn.Module]:
        """Return the UNet."""
        return {"unet": self.pipe.unet}

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn2`` of the blocks that process single frames, in the order of their calls."""
        return [
            TextAttention("unet", name, module)
            for part in ("down_blocks", "mid_block", "up_blocks")
            for name, module in getattr(self._network, part).named_modules(prefix=part)
            if name.endswith(".attn2") and "temp_attentions" not in name
        ]

    def _recommended(self) -> Sampling:
        return Sampling(256, 256, 16, 8.0, 50, 9.0)

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        return {"negative_prompt": sampling.negative_prompt, "guidance_scale": sampling.guidance_scale}

    @property
    def _strides(self) -> Strides:
        return Strides(1, self.pipe.vae_scale_factor, 1, 1)


class VideoToVideoSDModel(TextToVideoSDModel):
    """Beginning with the noised latents of a video."""

    inputs = Takes(video=Use.REQUIRED)
    video_argument = "video"
    _steps: int | None = None

    def sampling_of(self, given: Arguments) -> Sampling:
        """Read the arguments and the size of the video; note the number of steps, which the pipeline does not tell."""
        first = given["video"][0]
        height, width = first.shape[:2] if hasattr(first, "shape") else first.size[::-1]
        sampling = replace(super().sampling_of(given), width=width, height=height)
        self._steps = min(int(sampling.steps * given["strength"]), sampling.steps)
        return sampling

    def announced(self) -> int:
        """Return the number of steps that are left."""
        return super().announced() if self._steps is None else self._steps
