"""Memory and speed options of a pipeline: offloading, VAE tiling and slicing, the attention kernel, compilation."""

import gc
from collections.abc import Callable

import torch
from diffusers import DiffusionPipeline
from torch import nn

from generator.errors import ModelError, first_line
from generator.models.compiling import compile_denoisers, denoisers
from generator.settings import ModelSettings


def arrange(pipe: DiffusionPipeline, settings: ModelSettings, device: torch.device) -> None:
    """Move a loaded pipeline to ``device`` and apply the memory and speed options of the settings.

    Raises:
        ModelError: if the pipeline or the device does not support an option.

    """
    if settings.vae_tiling:
        _enable(pipe, "vae_tiling", pipe.vae.enable_tiling)
    if settings.vae_slicing:
        _enable(pipe, "vae_slicing", pipe.vae.enable_slicing)
    if settings.attention_backend is not None:
        for denoiser in denoisers(pipe):
            _choose_attention(denoiser, settings.attention_backend)
    if settings.offload == "model":
        pipe.enable_model_cpu_offload(device=device)
    elif settings.offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=device)
    else:
        pipe.to(device)
    if settings.compile:
        compile_denoisers(pipe, device, blocks=settings.compile == "blocks")


def recover(pipe: DiffusionPipeline) -> None:
    """Free the memory that a failed video still holds, so that the next one can use it."""
    pipe.maybe_free_model_hooks()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def lacks_memory(error: Exception) -> bool:
    """Whether an exception of torch reports lack of memory, on a device or on the host."""
    # On a CPU and in the libraries of CUDA it is a RuntimeError that only its message identifies.
    told = any(part in str(error) for part in ("can't allocate memory", "out of memory", "_ALLOC_FAILED"))
    return told or isinstance(error, MemoryError | torch.OutOfMemoryError)


def _enable(pipe: DiffusionPipeline, setting: str, enable: Callable[[], None]) -> None:
    try:
        enable()
    except NotImplementedError as error:
        raise ModelError(
            f"{setting}: found true, but {type(pipe.vae).__name__} does not support it. Omit it"
        ) from error


def _choose_attention(denoiser: nn.Module, backend: str) -> None:
    """Switch a network's attention processors to another kernel; diffusers checks that it is installed."""
    processors = [getattr(module, "processor", None) for module in denoiser.modules()]
    if not any(hasattr(processor, "_attention_backend") for processor in processors):
        raise ModelError(
            f"attention_backend: found {backend!r}, but the attention of {type(denoiser).__name__} always calls "
            "torch's own kernels. Omit it"
        )
    try:
        denoiser.set_attention_backend(backend)  # type: ignore[operator]
    except (ValueError, RuntimeError, ImportError) as error:
        raise ModelError(f"attention_backend: found {backend!r}, which cannot be used: {first_line(error)}") from error
