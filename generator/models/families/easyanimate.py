"""EasyAnimate, from text."""

from diffusers.models.transformers.transformer_easyanimate import EasyAnimateAttnProcessor2_0

from generator.models.contract import TextAttention, TextPlace
from generator.models.families.base import PipelineModel
from generator.prompts.tokens import TokenSequence
from generator.settings import Sampling

MARK = "\N{REPLACEMENT CHARACTER}"


class EasyAnimateModel(PipelineModel):
    """Joint attention with the text first and unmasked, in a chat template; guidance in one batch; a causal VAE."""

    text_keys = 256
    text_place = TextPlace.FIRST
    attention_function = "scaled_dot_product_attention"
    processors = (EasyAnimateAttnProcessor2_0,)
    stride_names = ("vae_temporal_compression_ratio", "vae_spatial_compression_ratio")

    def tokenise(self, text: str) -> TokenSequence:
        """Tokenise the prompt inside the chat template."""
        messages = [{"role": "user", "content": [{"type": "text", "text": MARK}]}]
        whole: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        before, after = whole.split(MARK)
        return self._tokenise_between(before, text, after, self.text_keys)

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn1`` of every block."""
        return self._attention_of_blocks("attn1", "transformer_blocks")

    def _recommended(self) -> Sampling:
        return Sampling(512, 512, 49, 8.0, 50, 6.0, "bad detailed")

    @property
    def _patch(self) -> tuple[int, int]:
        return 1, self._network.config.patch_size
