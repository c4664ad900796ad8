"""SANA-Video: from text, and from an image."""

from inspect import signature
from math import lcm
from typing import Any

from diffusers.models.transformers.transformer_sana_video import SanaAttnProcessor2_0

from generator.models.contract import TextAttention, TextPlace
from generator.models.families.base import PipelineModel
from generator.models.inputs import Takes, Use
from generator.prompts.tokens import TokenSequence
from generator.settings import Sampling

LENGTH = 300
SIZES = 32
"""The pipeline takes only multiples of this many pixels."""


class SanaVideoModel(PipelineModel):
    """Cross-attention with a mask, guidance in one batch, a causal VAE.

    The prompt follows an instruction. Of its rows, the network receives the first one and the last 299.
    """

    text_place = TextPlace.APART
    attention_function = "dispatch_attention_fn"
    processors = (SanaAttnProcessor2_0,)
    frames_argument = "frames"
    rearranges_text = True
    knows_padding = False
    text_keys = LENGTH

    def clean(self, prompt: str) -> str:
        """Clean a prompt with the pipeline's own function."""
        cleaned: list[str] = self.pipe._text_preprocessing(prompt, clean_caption=False)
        return cleaned[0]

    def tokenise(self, text: str) -> TokenSequence:
        """Tokenise the prompt behind the pipeline's instruction."""
        lines = signature(type(self.pipe).__call__).parameters["complex_human_instruction"].default
        instruction = "\n".join(lines)
        length = len(self.tokenizer.encode(instruction)) + LENGTH - 2
        return self._tokenise_between(instruction, text, "", length)

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn2`` of every block."""
        return self._attention_of_blocks("attn2", "transformer_blocks")

    def _recommended(self) -> Sampling:
        return Sampling(832, 480, 81, 16.0, 50, 6.0)

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        """Have the size as it is asked for, and not the nearest one of a list."""
        return {**super()._arguments(sampling), "use_resolution_binning": False}

    @property
    def _multiple(self) -> int:
        return lcm(super()._multiple, SIZES)


class SanaImageModel(SanaVideoModel):
    """From an image."""

    inputs = Takes(image=Use.REQUIRED)
