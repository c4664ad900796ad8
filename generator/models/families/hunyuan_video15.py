"""HunyuanVideo 1.5: from text, and from an image."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from diffusers.models.transformers.transformer_hunyuan_video15 import HunyuanVideo15AttnProcessor2_0
from diffusers.pipelines.hunyuan_video1_5.pipeline_hunyuan_video1_5 import format_text_input

from generator.errors import ModelError
from generator.models.contract import Arguments, TextAttention, TextPlace
from generator.models.families.base import PipelineModel
from generator.models.inputs import Takes, Use
from generator.prompts.tokens import TokenSequence
from generator.settings import Sampling

RATIO = 16, 9
"""Aspect ratio of videos without a size."""
MARK = "\N{REPLACEMENT CHARACTER}"


class HunyuanVideo15Model(PipelineModel):
    """Joint attention with the text last and a mask; a guider makes two named calls; a causal VAE.

    The text is what is left of Qwen's chat template. Before its tokens, the network puts those of an image and those
    of quoted words, of each the valid ones; behind all of them the invalid ones.
    """

    text_place = TextPlace.LAST
    attention_function = "dispatch_attention_fn"
    processors = (HunyuanVideo15AttnProcessor2_0,)
    guidance_in_one_batch = False
    branch_names = {"pred_cond": "cond", "pred_uncond": "uncond"}  # noqa: RUF012 - of the contract
    knows_padding = False

    @property
    def text_keys(self) -> int:  # type: ignore[override]
        """Number of tokens behind the instruction."""
        keys: int = self.pipe.tokenizer_max_length
        return keys

    def tokenise(self, text: str) -> TokenSequence:
        """Tokenise the prompt inside the chat template, and drop the tokens before the prompt."""
        messages = format_text_input([MARK], self.pipe.system_message)[0]
        whole: str = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        before, after = whole.split(MARK)
        start = self.pipe.prompt_template_encode_start_idx
        return self._tokenise_between(before, text, after, self.text_keys, start=start)

    def text_columns(self, given: Arguments, sample: int) -> Sequence[int]:
        """Return the places behind the image's tokens and those of quoted words."""
        is_text = given["encoder_attention_mask"][sample].bool().tolist()
        quoted = given["encoder_attention_mask_2"][sample].bool()
        images = given["image_embeds"].shape[1] if given["image_embeds"].any() else 0
        others = given["image_embeds"].shape[1] - images + int((~quoted).sum())
        first = images + int(quoted.sum())
        ranks = accumulate(is_text, initial=0)
        return [
            first + rank if valid else first + sum(is_text) + others + place - rank
            for place, (rank, valid) in enumerate(zip(ranks, is_text, strict=False))
        ]

    def is_guided(self) -> bool:
        """Ask the guider."""
        return bool(self.pipe.guider._enabled and self.pipe.guider.num_conditions > 1)

    def sampling_of(self, given: Arguments) -> Sampling:
        """Read the arguments; without a size, the pipeline takes its own."""
        sampling = super().sampling_of(given)
        if given.get("width") or given.get("height"):
            return sampling
        width, height = self._own_size(given)
        return replace(sampling, width=width, height=height)

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn`` of every block."""
        return self._attention_of_blocks("attn", "transformer_blocks")

    def _own_size(self, _given: Arguments) -> tuple[int, int]:
        return self._size_like(*RATIO)

    def _size_like(self, width: float, height: float) -> tuple[int, int]:
        """Return the pipeline's size for pictures of a ratio."""
        found = self.pipe.video_processor.calculate_default_height_width(height, width, self.pipe.target_size)
        return int(found[1]), int(found[0])

    def _guidance_of(self, given: Arguments) -> float:  # noqa: ARG002
        return float(self.pipe.guider.guidance_scale) if self.is_guided() else 1.0

    def _recommended(self) -> Sampling:
        width, height = self._size_like(*RATIO)
        return Sampling(width, height, 121, 24.0, 50, 6.0)

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        """Give the scale to the guider: the pipeline takes none."""
        self.pipe.guider = self.pipe.guider.new(guidance_scale=sampling.guidance_scale)
        return {"negative_prompt": sampling.negative_prompt}

    @property
    def _patch(self) -> tuple[int, int]:
        return self._network.config.patch_size_t, self._network.config.patch_size


class HunyuanVideo15ImageModel(HunyuanVideo15Model):
    """From an image, whose ratio decides the size."""

    inputs = Takes(image=Use.REQUIRED)

    def size_for(self, ratio: float, width: int | None, height: int | None, area: int | None) -> tuple[int, int]:  # noqa: ARG002
        """Return the size that the pipeline takes for an image of that very size, too."""
        size = self._size_like(ratio, 1.0)
        while (again := self._size_like(*size)) != size:
            size = again
        return width or size[0], height or size[1]

    def check(self, sampling: Sampling) -> None:
        """Raise ModelError, also for a size that the pipeline would not take for an image of that size."""
        super().check(sampling)
        own = self._size_like(sampling.width, sampling.height)
        if own != (sampling.width, sampling.height):
            raise ModelError(
                f"width {sampling.width}, height {sampling.height}: the pipeline of {self.name} makes {own[0]} x "
                f"{own[1]} pixels of such an image, whatever is asked for. Omit both settings"
            )

    def _own_size(self, given: Arguments) -> tuple[int, int]:
        return self._size_like(*given["image"].size)

    def _size_arguments(self, sampling: Sampling) -> dict[str, Any]:
        return {self.frames_argument: sampling.frames}
