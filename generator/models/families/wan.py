"""Wan 2.1 and 2.2: from text, from an image, from a video, and VACE; and Lucy Edit."""

from typing import Any

from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from diffusers.pipelines.wan.pipeline_wan import prompt_clean
from torch import nn

from generator.errors import ModelError
from generator.models.contract import LatentGrid, TextAttention, TextPlace
from generator.models.families.base import PipelineModel
from generator.models.inputs import Config, ReadConfig, Takes, Use
from generator.settings import Sampling


class WanModel(PipelineModel):
    """Cross-attention, guidance in two calls, a causal VAE.

    Wan pads a prompt to 512 tokens without a mask, so the padding tokens are keys too.
    """

    text_keys = 512
    text_place = TextPlace.APART
    attention_function = "dispatch_attention_fn"
    processors = (WanAttnProcessor,)
    guidance_in_one_batch = False

    def clean(self, prompt: str) -> str:
        """Clean a prompt with the pipeline's own function."""
        cleaned: str = prompt_clean(prompt)
        return cleaned

    def check(self, sampling: Sampling) -> None:
        """Raise ModelError, also for more latent tokens along an axis than the network has positions for."""
        super().check(sampling)
        most, grid, strides = self._network.config.rope_max_seq_len, self.grid(sampling), self._strides
        pixels = most * strides.space * strides.patch
        for name, found, tokens, largest in (
            ("width", sampling.width, grid.width, pixels),
            ("height", sampling.height, grid.height, pixels),
            ("frames", sampling.frames, grid.frames, (most * strides.patch_time - 1) * strides.time + 1),
        ):
            if tokens > most:
                raise ModelError(f"{name} {found}: {self.name} supports at most {largest}")

    def denoisers(self) -> dict[str, nn.Module]:
        """Return ``transformer`` and, for Wan 2.2, ``transformer_2``, which handles low noise levels."""
        names = ("transformer", "transformer_2")
        return {name: getattr(self.pipe, name) for name in names if getattr(self.pipe, name, None) is not None}

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn2`` of every block."""
        return self._attention_of_blocks("attn2", "blocks")

    def _recommended(self) -> Sampling:
        """Return the recommendation for TI2V, whose steps have a timestep for each token, or for the other models."""
        if self.pipe.config.get("expand_timesteps"):
            return Sampling(1280, 704, 121, 24.0, 50, 5.0)
        return Sampling(832, 480, 81, 16.0, 50, 5.0)

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        return {**super()._arguments(sampling), "guidance_scale_2": sampling.guidance_scale_2}


class WanImageToVideoModel(WanModel):
    """As from text. Wan 2.1 attends to the image's own keys in a call of its own, which is not recorded.

    The network tells whether it was trained with a last image: with a place for it among the image's embeddings, it
    needs one; without, it has no room. Networks without such embeddings see images as frames, and TI2V only the first.
    """

    inputs = Takes(image=Use.REQUIRED, last_image=Use.OPTIONAL)

    @classmethod
    def takes(cls, index: Config, read: ReadConfig) -> Takes:
        """Return whether the model takes a last image."""
        if index.get("expand_timesteps"):
            return Takes(image=Use.REQUIRED)
        network = read("transformer") or read("transformer_2")
        if network.get("image_dim") is None:
            return Takes(image=Use.REQUIRED, last_image=Use.OPTIONAL)
        has_place = network.get("pos_embed_seq_len") is not None
        return Takes(image=Use.REQUIRED, last_image=Use.REQUIRED if has_place else Use.NEVER)


class LucyEditModel(WanModel):
    """As Wan, with the latents of a video beside those that are denoised."""

    inputs = Takes(video=Use.REQUIRED)
    video_argument = "video"


class WanVideoToVideoModel(WanModel):
    """As from text, beginning with the noised latents of a video. The pipeline does not name its calls."""

    inputs = Takes(video=Use.REQUIRED)
    video_argument = "video"
    one_video_per_prompt = True

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        return {"negative_prompt": sampling.negative_prompt, "guidance_scale": sampling.guidance_scale}


class WanVACEModel(WanModel):
    """As from text, with further blocks that see a video, masks and reference images, and attend to the text too.

    The latents of reference images are put before those of the video.
    """

    inputs = Takes(video=Use.OPTIONAL)

    def latent_rows(self, found: int, grid: LatentGrid) -> slice:
        """Return the last ones; before them are those of reference images, which are whole frames."""
        extra = found - grid.size
        return slice(extra, None) if extra > 0 and extra % (grid.height * grid.width) == 0 else slice(found)

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn2`` of the blocks that see references, then of all others."""
        return self._attention_of_blocks("attn2", "vace_blocks", "blocks")
