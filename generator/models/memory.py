"""Fitting a pipeline into memory: where its parts lie, how its VAE decodes, which attention kernel it calls."""

import gc
from collections.abc import Callable

import torch
from diffusers import DiffusionPipeline
from torch import nn

from generator.errors import ModelError, first_line
from generator.settings import ModelSettings

DENOISERS = ("transformer", "transformer_2", "unet")


def arrange(pipe: DiffusionPipeline, settings: ModelSettings, device: torch.device) -> None:
    """Bring a pipeline that was loaded to ``device``, in the way that the settings ask for.

    Raises:
        ModelError: if it cannot do what is asked.

    """
    if settings.offload != "none" and device.type == "cpu":
        raise ModelError(
            f"offload: found {settings.offload!r}, but the device is a CPU, whose memory parts wait in anyway. "
            "Give a GPU (--device cuda), or leave it out"
        )
    if settings.vae_tiling:
        _enable(pipe, "vae_tiling", pipe.vae.enable_tiling)
    if settings.vae_slicing:
        _enable(pipe, "vae_slicing", pipe.vae.enable_slicing)
    if settings.attention_backend is not None:
        for denoiser in _denoisers(pipe):
            _choose_attention(denoiser, settings.attention_backend)
    if settings.offload == "model":
        pipe.enable_model_cpu_offload(device=device)
    elif settings.offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=device)
    else:
        pipe.to(device)


def recover(pipe: DiffusionPipeline) -> None:
    """Free what an exception left in memory, so that the next video has all of it."""
    pipe.maybe_free_model_hooks()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _enable(pipe: DiffusionPipeline, setting: str, enable: Callable[[], None]) -> None:
    try:
        enable()
    except NotImplementedError as error:
        raise ModelError(f"{setting}: found true, but {type(pipe.vae).__name__} cannot do it. Leave it out") from error


def _denoisers(pipe: DiffusionPipeline) -> list[nn.Module]:
    parts = [getattr(pipe, name, None) for name in DENOISERS]
    return [part for part in parts if part is not None]


def _choose_attention(denoiser: nn.Module, backend: str) -> None:
    """Have a network's attention processors call another kernel; diffusers checks that it is installed."""
    processors = [getattr(module, "processor", None) for module in denoiser.modules()]
    if not any(hasattr(processor, "_attention_backend") for processor in processors):
        raise ModelError(
            f"attention_backend: found {backend!r}, but the attention of {type(denoiser).__name__} always calls "
            "torch's own kernels. Leave it out"
        )
    try:
        denoiser.set_attention_backend(backend)  # type: ignore[operator]
    except (ValueError, RuntimeError, ImportError) as error:
        raise ModelError(f"attention_backend: found {backend!r}, which cannot be used: {first_line(error)}") from error
