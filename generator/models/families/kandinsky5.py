"""Kandinsky 5: from text, and from an image."""

from typing import Any

from diffusers.models.transformers.transformer_kandinsky import Kandinsky5AttnProcessor
from diffusers.pipelines.kandinsky5.pipeline_kandinsky import prompt_clean

from generator.errors import ModelError
from generator.models.contract import TextAttention, TextPlace
from generator.models.families.base import PipelineModel
from generator.models.inputs import Takes, Use
from generator.prompts.tokens import TokenSequence
from generator.settings import Sampling


class Kandinsky5Model(PipelineModel):
    """Cross-attention to the tokens of the prompt, without padding; guidance in two unnamed calls; a causal VAE."""

    text_keys = 512
    text_place = TextPlace.APART
    attention_function = "dispatch_attention_fn"
    processors = (Kandinsky5AttnProcessor,)
    guidance_in_one_batch = False

    @property
    def tokenizer(self) -> Any:  # noqa: ANN401 - of transformers
        """The tokenizer inside the pipeline's processor of texts and images."""
        return getattr(self.pipe.tokenizer, "tokenizer", self.pipe.tokenizer)

    def clean(self, prompt: str) -> str:
        """Clean a prompt with the pipeline's own function."""
        cleaned: str = prompt_clean(prompt)
        return cleaned

    def tokenise(self, text: str) -> TokenSequence:
        """Tokenise the prompt inside the pipeline's template, and drop the tokens before the prompt."""
        before, after = self.pipe.prompt_template.split("{}")
        start = self.pipe.prompt_template_encode_start_idx
        return self._tokenise_between(before, text, after, self.text_keys, start=start)

    def check(self, sampling: Sampling) -> None:
        """Raise ModelError, also for networks that rearrange the latent tokens."""
        super().check(sampling)
        if self._network.config.attention_type == "nabla":
            raise ModelError(
                f"model {self.name}: its network sorts the latent tokens into blocks (`attention_type: nabla`), which "
                "capture does not support. Use a model of 5 seconds, or generate without capture"
            )

    def text_attention(self) -> list[TextAttention]:
        """Return ``cross_attention`` of every block that sees the video."""
        return self._attention_of_blocks("cross_attention", "visual_transformer_blocks")

    def _recommended(self) -> Sampling:
        return Sampling(768, 512, 121, 24.0, 50, 5.0)


class Kandinsky5ImageModel(Kandinsky5Model):
    """From an image, which goes through the VAE in the type of the other networks."""

    inputs = Takes(image=Use.REQUIRED)
    float32_vae = False
