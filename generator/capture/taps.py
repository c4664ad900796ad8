"""Observes a model while it generates a video, and removes every hook afterwards.

It taps four places. ``cache_context`` of a denoising network, if it has one, names the guidance branch and the
denoising step. The network's forward call gives the batch size. The forward call of each text attention layer gives the
running layer. The attention function, where the layers' processors look it up, receives query and key; its result is
passed on unchanged.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import ModuleType
from typing import NamedTuple, ParamSpec, Protocol

import torch
from torch import Tensor, nn

from generator.capture.attention import AttentionCall
from generator.capture.kernels import LogSumKernels
from generator.errors import CaptureError
from generator.models.contract import TextAttention, VideoModel

Call = ParamSpec("Call")
CacheContext = Callable[..., AbstractContextManager[None]]

TORCH_ATTENTION = "scaled_dot_product_attention"


class CallContext(NamedTuple):
    """Guidance branch and denoising step of a network call, as the pipeline announces them; None if it does not."""

    branch: str | None
    step: int | None


class Listener(Protocol):
    """Receives the events of a tapped model."""

    def begin(self, denoiser: str, context: CallContext, batch: int) -> None:
        """Handle the start of a denoising network's call on ``batch`` latent videos."""

    def end(self) -> None:
        """Handle the end of a denoising network's call; not called after an exception."""

    def enter(self, layer: str) -> None:
        """Handle the start of a text attention layer's forward call."""

    def leave(self) -> None:
        """Handle the end of a text attention layer's forward call."""

    def see(self, call: AttentionCall) -> None:
        """Handle a call of the attention function inside a text attention layer."""


@contextmanager
def tapped(model: VideoModel, listener: Listener) -> Iterator[None]:
    """Send the events of ``model`` to ``listener`` inside the context.

    Raises:
        CaptureError: if the model has an attention processor of an unknown type.

    """
    layers = model.text_attention()
    _refuse_unknown_processors(model, layers)
    functional = torch.nn.functional
    kernels = LogSumKernels(functional.scaled_dot_product_attention)
    with ExitStack() as stack:
        stack.enter_context(replaced(functional, TORCH_ATTENTION, kernels))
        for layer in layers:
            _follow(layer, listener, kernels, stack)
        if model.attention_function == TORCH_ATTENTION:
            sites: list[ModuleType] = [functional]
        else:
            sites = list({_module_of_processor(layer): None for layer in layers})
        for site in sites:
            seen = _seen(getattr(site, model.attention_function), listener, kernels)
            stack.enter_context(replaced(site, model.attention_function, seen))
        for name, denoiser in model.denoisers().items():
            _announce(name, denoiser, listener, stack)
        yield


def _refuse_unknown_processors(model: VideoModel, layers: list[TextAttention]) -> None:
    for layer in layers:
        found = type(layer.module.processor)
        if found not in model.processors:
            raise CaptureError(
                f"{layer.name}: found the attention processor {found.__qualname__}; expected "
                f"{' or '.join(known.__qualname__ for known in model.processors)} of diffusers 0.42. "
                "Capture does not know what other processors compute: remove it, or generate without capture"
            )


def _module_of_processor(layer: TextAttention) -> ModuleType:
    """Return the Python module in which the layer's processor looks up the attention function."""
    return sys.modules[type(layer.module.processor).__module__]


def _follow(layer: TextAttention, listener: Listener, kernels: LogSumKernels, stack: ExitStack) -> None:
    def enter(_module: nn.Module, _inputs: object) -> None:
        kernels.wanted = True
        listener.enter(layer.name)

    def leave(_module: nn.Module, _inputs: object, _output: object) -> None:
        kernels.wanted = False
        listener.leave()

    stack.callback(layer.module.register_forward_pre_hook(enter).remove)
    stack.callback(layer.module.register_forward_hook(leave).remove)


def _seen(function: Callable[Call, Tensor], listener: Listener, kernels: LogSumKernels) -> Callable[Call, Tensor]:
    signature = inspect.signature(function)
    heads_first = function is kernels

    def attention(*args: Call.args, **kwargs: Call.kwargs) -> Tensor:
        output = function(*args, **kwargs)
        if kernels.wanted:
            given = signature.bind(*args, **kwargs).arguments
            listener.see(_call(given, kernels.take(), heads_first=heads_first))
        return output

    return attention


def _call(given: Mapping[str, Tensor], log_sum: Tensor | None, *, heads_first: bool) -> AttentionCall:
    """Convert the arguments of an attention function to the axes of `AttentionCall`."""
    query, key, mask = given["query"], given["key"], given.get("attn_mask")
    if not heads_first:  # diffusers' function takes [sample, token, head, dim], torch's [sample, head, token, dim]
        query, key = query.transpose(1, 2), key.transpose(1, 2)
    if mask is not None:
        mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
    scale = given.get("scale")
    return AttentionCall(query, key, mask, None if scale is None else float(scale), log_sum)


def _announce(name: str, denoiser: nn.Module, listener: Listener, stack: ExitStack) -> None:
    contexts = [CallContext(None, None)]

    def begin(_module: nn.Module, inputs: tuple[object, ...], named: dict[str, object]) -> None:
        latents = named["hidden_states"] if "hidden_states" in named else inputs[0]
        listener.begin(name, contexts[-1], len(latents))  # type: ignore[arg-type]

    def end(_module: nn.Module, _inputs: object, _output: object) -> None:
        listener.end()

    stack.callback(denoiser.register_forward_pre_hook(begin, with_kwargs=True).remove)
    stack.callback(denoiser.register_forward_hook(end).remove)
    if hasattr(denoiser, "cache_context"):
        cache_context: CacheContext = denoiser.cache_context  # type: ignore[assignment]
        stack.enter_context(replaced(denoiser, "cache_context", _noted(cache_context, contexts)))


def _noted(cache_context: CacheContext, contexts: list[CallContext]) -> CacheContext:
    """Wrap ``cache_context`` to append the announced context to ``contexts`` while it is active."""

    @contextmanager
    def noted(branch: str, **where: object) -> Iterator[None]:
        step = where.get("step_index")
        contexts.append(CallContext(branch, step if isinstance(step, int) else None))
        try:
            with cache_context(branch, **where):
                yield
        finally:
            contexts.pop()

    return noted


@contextmanager
def replaced(owner: object, name: str, replacement: object) -> Iterator[None]:
    """Set an attribute of ``owner`` inside the context; restore or remove it afterwards."""
    own = vars(owner)
    was_there, before = name in own, own.get(name)
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        if was_there:
            setattr(owner, name, before)
        else:
            delattr(owner, name)
