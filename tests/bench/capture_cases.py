"""Models whose capture is measured: the real architectures with random weights, at real or at tiny size."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import diffusers
import torch
from torch import Tensor, nn

from generator.capture.budget import keep_of
from generator.capture.maps import CONDITIONAL, UNCONDITIONAL
from generator.capture.recorder import Recorder, capture
from generator.config import attention_settings
from generator.models.contract import LatentGrid
from generator.models.families.base import PipelineModel
from generator.models.families.cogvideox import CogVideoXModel
from generator.models.families.hunyuan_video import HunyuanVideoModel
from generator.models.families.ltx import LTXModel
from generator.models.families.wan import WanModel
from generator.prompts.tokens import TrackedWord
from tests import families

POSITIONS = ((2,), (5, 6), (9,), (3,), (4,), (7,), (8,), (10, 11))
"""Token positions of up to 8 words."""
WORDS = [TrackedWord(f"word{at[0]}", "word", (0, 4), at, ()) for at in POSITIONS]
PROMPT = "a romantic kiss between two men"
PROMPT_LENGTH = 15
GUIDANCE = 5.0


@dataclass(frozen=True)
class Case:
    """A model, its latent grid, and a denoising step: all calls of its network; returns the output of the last one.

    The timestep is 0 in all of them, the only one that two steps of a video may share.
    """

    model: PipelineModel
    grid: LatentGrid
    step: Callable[[], Tensor]

    @property
    def network(self) -> nn.Module:
        return next(iter(self.model.denoisers().values()))


@contextmanager
def captured(case: Case, words: int = 3, settings: Mapping[str, object] | None = None) -> Iterator[Recorder]:
    """Capture as the generator does, with settings of ``attention_analysis``, after a step, which verifies kernels."""
    keep = keep_of(attention_settings(settings or {}))
    prompts = {CONDITIONAL: PROMPT, UNCONDITIONAL: ""}
    with capture(case.model, WORDS[:words], case.grid, keep, prompts=prompts) as recorder, torch.no_grad():
        case.step()
        yield recorder


def wan(
    grid: LatentGrid,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    branches: Sequence[str] = (UNCONDITIONAL, CONDITIONAL),
    **network: object,
) -> Case:
    """Wan 1.3B: 12 heads of 128, 512 text keys without a mask, guidance in two calls."""
    pipe = families.build("wan")
    made = {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30, **network}
    pipe.transformer = transformer = _network(diffusers.WanTransformer3DModel, made, device, dtype)
    with torch.device(device):
        text = torch.randn(1, 512, transformer.config.text_dim)
        text[:, PROMPT_LENGTH:] = 0.0  # all keys after the prompt are equal
        latents = torch.randn(1, transformer.config.in_channels, grid.frames, 2 * grid.height, 2 * grid.width)
        timestep = torch.zeros(1)
    text, latents = text.to(dtype), latents.to(dtype)

    def step() -> Tensor:
        for branch in branches:
            with pipe.transformer.cache_context(branch):
                output: Tensor = pipe.transformer(latents, timestep, text, return_dict=False)[0]
        return output

    return Case(WanModel(pipe, "Wan 1.3B"), grid, step)


def ltx(grid: LatentGrid, device: str = "cpu", dtype: torch.dtype = torch.float32, **network: object) -> Case:
    """LTX 2B: 32 heads of 64, 128 text keys with a mask, guidance in one batch."""
    pipe = families.build("ltx")
    pipe.transformer = transformer = _network(diffusers.LTXVideoTransformer3DModel, network, device, dtype)
    pipe._guidance_scale = GUIDANCE
    with torch.device(device):
        text = torch.randn(2, 128, transformer.config.caption_channels).to(dtype)
        latents = torch.randn(2, grid.size, transformer.config.in_channels).to(dtype)
        mask = (torch.arange(128) < PROMPT_LENGTH).expand(2, 128).to(dtype)
        timestep = torch.zeros(2)
    size = {"num_frames": grid.frames, "height": grid.height, "width": grid.width}
    scale = (grid.temporal_stride / 25, 32, 32)

    def step() -> Tensor:
        with pipe.transformer.cache_context("cond_uncond"):
            output: Tensor = pipe.transformer(
                latents, text, timestep, mask, **size, rope_interpolation_scale=scale, return_dict=False
            )[0]
        return output

    return Case(LTXModel(pipe, "LTX 2B"), grid, step)


def cogvideox(
    grid: LatentGrid, device: str = "cpu", dtype: torch.dtype = torch.float32, batch: int = 2, **network: object
) -> Case:
    """CogVideoX 5B: 48 heads of 64, 226 text keys followed by the latent tokens; guidance in a batch of 2."""
    pipe = families.build("cogvideox")
    made = {"num_attention_heads": 48, "num_layers": 42, "use_rotary_positional_embeddings": True, **network}
    pipe.transformer = transformer = _network(diffusers.CogVideoXTransformer3DModel, made, device, dtype)
    pipe._guidance_scale = GUIDANCE
    config = transformer.config
    with torch.device(device):
        text = torch.randn(batch, config.max_text_seq_length, config.text_embed_dim).to(dtype)
        latents = torch.randn(batch, grid.frames, config.in_channels, 2 * grid.height, 2 * grid.width).to(dtype)
        angles = torch.randn(grid.size, config.attention_head_dim)
        timestep = torch.zeros(batch)
    rotary = angles.cos(), angles.sin()

    def step() -> Tensor:
        with pipe.transformer.cache_context("cond_uncond"):
            output: Tensor = pipe.transformer(latents, text, timestep, image_rotary_emb=rotary, return_dict=False)[0]
        return output

    return Case(CogVideoXModel(pipe, "CogVideoX 5B"), grid, step)


def hunyuan(grid: LatentGrid, device: str = "cpu", dtype: torch.dtype = torch.float32, **network: object) -> Case:
    """HunyuanVideo: 24 heads of 128, the latent tokens followed by 256 text keys with a mask, one call a step."""
    pipe = families.build("hunyuan")
    pipe.transformer = transformer = _network(diffusers.HunyuanVideoTransformer3DModel, network, device, dtype)
    config = transformer.config
    with torch.device(device):
        text = torch.randn(1, 256, config.text_embed_dim).to(dtype)
        mask = (torch.arange(256) < PROMPT_LENGTH)[None].long()
        pooled = torch.randn(1, config.pooled_projection_dim).to(dtype)
        latents = torch.randn(1, config.in_channels, grid.frames, 2 * grid.height, 2 * grid.width).to(dtype)
        timestep, guidance = torch.zeros(1, dtype=torch.long), torch.tensor([6000.0]).to(dtype)

    def step() -> Tensor:
        with pipe.transformer.cache_context("cond"):
            output: Tensor = pipe.transformer(latents, timestep, text, mask, pooled, guidance, return_dict=False)[0]
        return output

    return Case(HunyuanVideoModel(pipe, "HunyuanVideo"), grid, step)


def _network(kind: type[nn.Module], settings: Mapping[str, object], device: str, dtype: torch.dtype) -> nn.Module:
    """Build a network with random weights of type ``dtype``, but for the modules that diffusers keeps in float32."""
    with torch.device(device), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = kind(**settings).requires_grad_(requires_grad=False).eval()
    for name, parameter in network.named_parameters():
        if not any(kept in name for kept in network._keep_in_fp32_modules or ()):
            parameter.data = parameter.data.to(dtype)
    return network


@dataclass(frozen=True)
class Spec:
    """What to build of a model: its title, its size, and the latent grid and the network at real and at tiny size."""

    title: str
    size: str
    build: Callable[..., Case]
    grid: LatentGrid
    network: Mapping[str, object]
    tiny_network: Mapping[str, object]

    def made(self, *, tiny: bool, device: str, dtype: torch.dtype, layers: Mapping[str, int] | None = None) -> Case:
        """Build the case; ``layers`` replaces the real numbers of layers."""
        if tiny:
            grid = LatentGrid(2, 3, 4, self.grid.temporal_stride, self.grid.causal_first_frame)
            return self.build(grid, device=device, dtype=dtype, **self.tiny_network)
        return self.build(self.grid, device=device, dtype=dtype, **{**self.network, **(layers or {})})


SPECS = {
    "wan": Spec(
        "Wan 1.3B",
        "81 frames 832x480",
        wan,
        LatentGrid(21, 30, 52, 4, causal_first_frame=True),
        {},
        {"num_attention_heads": 4, "attention_head_dim": 24, "num_layers": 2, "ffn_dim": 64, "text_dim": 32},
    ),
    "ltx": Spec(
        "LTX 2B",
        "121 frames 768x512, guidance in one batch, mask",
        ltx,
        LatentGrid(16, 16, 24, 8, causal_first_frame=True),
        {},
        {
            "num_attention_heads": 4,
            "attention_head_dim": 8,
            "num_layers": 2,
            "in_channels": 8,
            "out_channels": 8,
            "cross_attention_dim": 32,
            "caption_channels": 32,
        },
    ),
    "cogvideox": Spec(
        "CogVideoX 5B",
        "12 layers, 49 frames 720x480, guidance in one batch",
        cogvideox,
        LatentGrid(13, 30, 45, 4, causal_first_frame=True),
        {"num_layers": 12},
        {"num_attention_heads": 4, "attention_head_dim": 16, "num_layers": 2, "text_embed_dim": 32, "in_channels": 4},
    ),
    "hunyuan": Spec(
        "HunyuanVideo",
        "2+4 layers, 61 frames 960x544, mask",
        hunyuan,
        LatentGrid(16, 34, 60, 4, causal_first_frame=True),
        {"num_layers": 2, "num_single_layers": 4},
        {
            "num_attention_heads": 4,
            "attention_head_dim": 16,
            "num_layers": 1,
            "num_single_layers": 1,
            "num_refiner_layers": 1,
            "in_channels": 4,
            "out_channels": 4,
            "text_embed_dim": 32,
            "pooled_projection_dim": 32,
            "rope_axes_dim": (4, 6, 6),
        },
    ),
}
"""The models of the table on a GPU."""
