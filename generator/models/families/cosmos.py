"""Cosmos 1, Predict 2 and 2.5."""

from typing import Any

from diffusers.models.transformers.transformer_cosmos import CosmosAttnProcessor2_0, CosmosAttnProcessor2_5

from generator.models.contract import TextAttention, TextPlace
from generator.models.families.base import PipelineModel
from generator.models.inputs import Takes, Use
from generator.prompts.tokens import TokenSequence
from generator.settings import Sampling

INSTRUCTION = "You are a helpful assistant who will provide prompts to an image generator."
MARK = "\N{REPLACEMENT CHARACTER}"


class CosmosModel(PipelineModel):
    """Cosmos 1 from text: cross-attention to 512 keys without a mask, guidance in two unnamed calls, a causal VAE."""

    text_keys = 512
    text_place = TextPlace.APART
    attention_function = "dispatch_attention_fn"
    processors: tuple[type, ...] = (CosmosAttnProcessor2_0,)
    guidance_in_one_batch = False

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn2`` of every block."""
        return self._attention_of_blocks("attn2", "transformer_blocks")

    def _recommended(self) -> Sampling:
        return Sampling(1280, 704, 121, 30.0, 36, 7.0)

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        return {**super()._arguments(sampling), "fps": round(sampling.fps)}


class CosmosVideoModel(CosmosModel):
    """Cosmos 1 from an image, or a video in its place."""

    inputs = Takes(image=Use.REQUIRED, video=Use.OPTIONAL)


class Cosmos2VideoModel(CosmosVideoModel):
    """Cosmos Predict 2 from an image or a video."""

    def _recommended(self) -> Sampling:
        return Sampling(1280, 704, 93, 16.0, 35, 7.0)


class Cosmos25Model(CosmosModel):
    """Cosmos Predict 2.5: the text is all hidden states of Qwen's chat template, each with a norm of its own."""

    processors = (CosmosAttnProcessor2_0, CosmosAttnProcessor2_5)
    inputs = Takes(image=Use.OPTIONAL, video=Use.OPTIONAL)

    def tokenise(self, text: str) -> TokenSequence:
        """Tokenise the prompt inside the chat template."""
        messages = [
            {"role": "system", "content": [{"type": "text", "text": INSTRUCTION}]},
            {"role": "user", "content": [{"type": "text", "text": MARK}]},
        ]
        whole: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_vision_id=False)
        before, after = whole.split(MARK)
        return self._tokenise_between(before, text, after, self.text_keys)

    def _recommended(self) -> Sampling:
        return Sampling(1280, 704, 93, 16.0, 36, 7.0)

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        arguments = super()._arguments(sampling)
        del arguments["fps"]
        return arguments
