"""UNets of image models that attend to the text frame by frame, beside attention over time."""

from typing import Any

from torch import nn

from generator.models.contract import TextAttention, TextPlace
from generator.models.families.base import PipelineModel
from generator.models.families.sizes import Strides
from generator.settings import Sampling


class UNetModel(PipelineModel):
    """Cross-attention frame by frame at several resolutions, guidance in one batch, one latent frame per frame.

    The grid is that of the layers with the highest resolution; maps of other layers are enlarged to it.
    """

    text_place = TextPlace.APART
    attention_function = "scaled_dot_product_attention"
    frame_by_frame = True
    float32_vae = False
    over_time: str
    """Part of the names of modules whose ``attn2`` attends to other frames, not to text."""

    @property
    def text_keys(self) -> int:  # type: ignore[override]
        """Number of tokens that the text encoder takes."""
        keys: int = self.pipe.tokenizer.model_max_length
        return keys

    def denoisers(self) -> dict[str, nn.Module]:
        """Return the UNet."""
        return {"unet": self.pipe.unet}

    def text_attention(self) -> list[TextAttention]:
        """Return ``attn2`` of the blocks that process single frames, in the order of their calls."""
        return [
            TextAttention("unet", name, module)
            for part in ("down_blocks", "mid_block", "up_blocks")
            for name, module in getattr(self._network, part).named_modules(prefix=part)
            if name.endswith(".attn2") and self.over_time not in name
        ]

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        return {"negative_prompt": sampling.negative_prompt, "guidance_scale": sampling.guidance_scale}

    @property
    def _strides(self) -> Strides:
        return Strides(1, self.pipe.vae_scale_factor, 1, 1)
