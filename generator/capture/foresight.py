"""Finds out before the first video whether capture will be slow."""

import torch
from torch import Tensor
from torch.nn import functional

from generator.capture.attention import AttentionCall
from generator.capture.cost import captured_calls, slice_of, warn_of_whole_rows
from generator.capture.maps import Keep
from generator.capture.reading import AttentionReader
from generator.capture.replacing import original
from generator.capture.second_pass import SecondPass
from generator.capture.taps import site_of
from generator.capture.verified import REFUSALS
from generator.models.contract import LatentGrid, TextAttention, TextPlace, VideoModel

FEW = 64
"""Number of rows and keys of the attention that is tried."""


@torch.no_grad()
def warn_if_slow(model: VideoModel, grid: LatentGrid, keep: Keep) -> None:
    """Try a little attention with the model's own function; warn if its log-sum-exp cannot be had.

    Kernels may be chosen by size. What this trial does not show is said at the first denoising step.

    Args:
        model: the model that generates the videos
        grid: the latent grid of a video
        keep: what will be kept

    """
    layer = model.text_attention()[0]
    dim = layer.dim
    try:
        call = _tried(model, layer, dim)
    except (*REFUSALS, ImportError):
        return  # attention itself fails: the first video reports why
    if call.log_sum is not None or SecondPass().log_sum(call) is not None or call.ran is None:
        return
    keys = model.text_keys + (0 if model.text_place is TextPlace.APART else grid.size)
    whole = AttentionCall(_random(model, (1, 1, grid.size, dim)), _random(model, (1, 1, keys, dim)))
    rows = grid.size * layer.heads * captured_calls(model, keep)
    warn_of_whole_rows(slice_of(whole), rows, call.ran.kernel)


def _tried(model: VideoModel, layer: TextAttention, dim: int) -> AttentionCall:
    """Call the attention function of a layer on a few random queries and keys."""
    site = site_of(model, layer)
    heads_first = site is functional
    function = original(site, model.attention_function)
    read = AttentionReader().of(layer.name, function, heads_first=heads_first)
    shape = (1, layer.heads, FEW, dim) if heads_first else (1, FEW, layer.heads, dim)
    backend = getattr(layer.module.processor, "_attention_backend", None)
    chosen = {} if backend is None or heads_first else {"backend": backend}
    return read(*(_random(model, shape) for _ in range(3)), **chosen)[1]


def _random(model: VideoModel, shape: tuple[int, ...]) -> Tensor:
    """Draw random numbers without a change to the random numbers of the videos."""
    generator = torch.Generator(model.device).manual_seed(0)
    return torch.randn(shape, generator=generator, device=model.device).to(getattr(torch, model.dtype))
