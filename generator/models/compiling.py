"""Compiles the denoising networks of a pipeline with torch.compile, and tells which networks are compiled."""

from typing import Literal

import torch
from diffusers import DiffusionPipeline
from torch import nn

from generator.errors import ModelError, first_line

DENOISERS = ("transformer", "transformer_2", "unet")

Compiled = bool | Literal["blocks"]
"""Whether a network is compiled: as a whole, block by block, or not at all."""


def compile_denoisers(pipe: DiffusionPipeline, device: torch.device, *, blocks: bool) -> None:
    """Have the denoising networks compiled at their first call, which takes minutes.

    Args:
        pipe: the pipeline
        device: where it runs
        blocks: whether to compile one block, which all others share, instead of the whole network

    Raises:
        ModelError: if torch.compile does not work on this machine, or a network does not name its blocks.

    """
    networks = denoisers(pipe)
    for network in networks:
        if blocks and not getattr(network, "_repeated_blocks", None):
            raise ModelError(
                f"compile: found 'blocks', but {type(network).__name__} does not name its repeated blocks. Use `true`, "
                "which compiles the whole network"
            )
    _try_compiler(device)
    for network in networks:
        if blocks:
            network.compile_repeated_blocks()  # type: ignore[operator]
        else:
            network.compile()


def how_compiled(network: nn.Module) -> Compiled:
    """Return whether a network is compiled, however that was done."""
    if _is_compiled(network):
        return True
    return "blocks" if any(_is_compiled(part) for part in network.modules()) else False


def denoisers(pipe: DiffusionPipeline) -> list[nn.Module]:
    """Return the denoising networks of a pipeline."""
    parts = [getattr(pipe, name, None) for name in DENOISERS]
    return [part for part in parts if part is not None]


def _is_compiled(network: nn.Module) -> bool:
    own = vars(network)
    in_place = own.get("_compiled_call_impl") is not None
    # torch.compile(network) returns a wrapper, and torch.compile(network.forward) a function that remembers its own.
    return in_place or hasattr(network, "_orig_mod") or hasattr(own.get("forward"), "_torchdynamo_orig_callable")


def _try_compiler(device: torch.device) -> None:
    """Compile a small function, so that a machine without a compiler is found out before the first video."""

    def small(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.sin() + 1

    try:
        torch.compile(small)(torch.ones(8, device=device))
    except Exception as error:
        raise ModelError(
            f"compile: torch.compile does not work here: {first_line(error)}. Install what it needs (on a CPU a C++ "
            "compiler, such as g++; on a GPU triton and a C compiler), or omit `compile`"
        ) from error
