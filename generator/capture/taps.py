"""Listening to a model while it makes a video, and leaving no trace afterwards.

Four places are tapped. ``cache_context`` of a denoising network, where it has one, tells the guidance branch and the
denoising step. The network's forward call tells its batch. The forward call of each text attention layer
tells which layer is at work. The attention function, where the layers' processors look it up, tells query and key;
its result is passed on untouched.
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


class Told(NamedTuple):
    """What the pipeline says about a call of a denoising network; None where it does not."""

    branch: str | None
    step: int | None


class Listener(Protocol):
    """What is told by the taps."""

    def begin(self, denoiser: str, told: Told, batch: int) -> None:
        """Hear that a call of a denoising network begins, with so many latent videos in its batch."""

    def end(self) -> None:
        """Hear that it is over. After an exception nothing is heard until the next one begins."""

    def enter(self, layer: str) -> None:
        """Hear that the forward call of ``layer`` begins."""

    def leave(self) -> None:
        """Hear that it is over."""

    def see(self, call: AttentionCall) -> None:
        """See what the attention function is given."""


@contextmanager
def tapped(model: VideoModel, listener: Listener) -> Iterator[None]:
    """Let ``listener`` hear everything that ``model`` does inside.

    Raises:
        CaptureError: if the model's attention processors are not of the kind that can be listened to.

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
                f"{' or '.join(known.__qualname__ for known in model.processors)}, as it comes with diffusers 0.42. "
                "What another one computes is not known: take it away, or do without capture"
            )


def _module_of_processor(layer: TextAttention) -> ModuleType:
    """Find the Python module in whose names the layer's processor looks up the attention function."""
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
    """Bring the arguments of an attention function into one order of axes."""
    query, key, mask = given["query"], given["key"], given.get("attn_mask")
    if not heads_first:  # diffusers' own function takes [sample, token, head, dim], torch's has heads before tokens
        query, key = query.transpose(1, 2), key.transpose(1, 2)
    if mask is not None:
        mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
    scale = given.get("scale")
    return AttentionCall(query, key, mask, None if scale is None else float(scale), log_sum)


def _announce(name: str, denoiser: nn.Module, listener: Listener, stack: ExitStack) -> None:
    told = [Told(None, None)]

    def begin(_module: nn.Module, inputs: tuple[object, ...], named: dict[str, object]) -> None:
        latents = named["hidden_states"] if "hidden_states" in named else inputs[0]
        listener.begin(name, told[-1], len(latents))  # type: ignore[arg-type]

    def end(_module: nn.Module, _inputs: object, _output: object) -> None:
        listener.end()

    stack.callback(denoiser.register_forward_pre_hook(begin, with_kwargs=True).remove)
    stack.callback(denoiser.register_forward_hook(end).remove)
    if hasattr(denoiser, "cache_context"):
        cache_context: CacheContext = denoiser.cache_context  # type: ignore[assignment]
        stack.enter_context(replaced(denoiser, "cache_context", _noted(cache_context, told)))


def _noted(cache_context: CacheContext, told: list[Told]) -> CacheContext:
    @contextmanager
    def noted(branch: str, **where: object) -> Iterator[None]:
        step = where.get("step_index")
        told.append(Told(branch, step if isinstance(step, int) else None))
        try:
            with cache_context(branch, **where):
                yield
        finally:
            told.pop()

    return noted


@contextmanager
def replaced(owner: object, name: str, replacement: object) -> Iterator[None]:
    """Set an attribute of ``owner`` itself, and restore or remove it afterwards."""
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
