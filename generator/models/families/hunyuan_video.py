"""HunyuanVideo: from text, and from an image."""

from inspect import signature
from typing import Any

from diffusers.models.transformers.transformer_hunyuan_video import HunyuanVideoAttnProcessor2_0

from generator.models.contract import Arguments, TextAttention, TextPlace
from generator.models.families.base import PipelineModel
from generator.models.inputs import Takes, Use
from generator.prompts.tokens import TokenSequence
from generator.settings import Sampling


class HunyuanVideoModel(PipelineModel):
    """Joint attention with the text last and a mask, a causal VAE.

    The model takes the guidance scale as an input and computes only the conditional branch. With a negative prompt,
    the pipeline instead calls it twice for classifier-free guidance with the same scale.
    """

    text_keys = 256
    text_place = TextPlace.LAST
    attention_function = "dispatch_attention_fn"
    processors = (HunyuanVideoAttnProcessor2_0,)
    guidance_in_one_batch = False

    def tokenise(self, text: str) -> TokenSequence:
        """Tokenise the prompt inside the pipeline's instruction template, and drop the tokens before the prompt."""
        template: dict[str, Any] = signature(type(self.pipe).__call__).parameters["prompt_template"].default
        before, after = template["template"].split("{}")
        return self._tokenise_between(before, text, after, self.text_keys, start=template["crop_start"])

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn`` of the dual-stream blocks, then of the single-stream blocks."""
        return self._attention_of_blocks("attn", "transformer_blocks", "single_transformer_blocks")

    def _recommended(self) -> Sampling:
        return Sampling(1280, 720, 129, 24.0, 50, 6.0)

    def guides(self, sampling: Sampling) -> bool:
        """Whether there is a negative prompt: without one, the guidance scale is an input of the network."""
        return bool(sampling.negative_prompt) and super().guides(sampling)

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        arguments = super()._arguments(sampling)
        if not sampling.negative_prompt:
            return {**arguments, "negative_prompt": None}
        return {**arguments, "guidance_scale": 1.0, "true_cfg_scale": sampling.guidance_scale}

    @property
    def _patch(self) -> tuple[int, int]:
        return self._network.config.patch_size_t, self._network.config.patch_size


class HunyuanVideoImageModel(HunyuanVideoModel):
    """From an image, which the text encoder sees too: rows of the image are put before those of the text."""

    rearranges_text = True
    knows_padding = False
    inputs = Takes(image=Use.REQUIRED)

    def _guidance_of(self, given: Arguments) -> float:
        return float(given["true_cfg_scale"])


class HunyuanSkyreelsModel(HunyuanVideoModel):
    """The image model of SkyReels V1: classifier-free guidance in calls without a name."""

    inputs = Takes(image=Use.REQUIRED)

    def guides(self, sampling: Sampling) -> bool:
        """Whether the guidance scale is above 1."""
        return sampling.guidance_scale > 1
