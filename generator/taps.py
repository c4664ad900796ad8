"""Listening to a model while it makes a video, and leaving no trace afterwards.

Three places are tapped. The forward call of each text attention layer tells which layer is at work. The attention
function, where the layers' processors look it up, tells query and key; its result is passed on untouched.
``cache_context`` of each denoising network tells the guidance branch and the denoising step.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import ModuleType
from typing import ParamSpec, Protocol

from torch import Tensor, nn

from generator.errors import CaptureError
from generator.families.contract import TextAttention, VideoModel

Call = ParamSpec("Call")


class Listener(Protocol):
    """What is told by the taps."""

    def enter(self, layer: str) -> None:
        """Hear that the forward call of ``layer`` begins."""

    def leave(self) -> None:
        """Hear that it is over."""

    def see(self, query: Tensor, key: Tensor, mask: Tensor | None, scale: float | None) -> None:
        """See what the attention function is given; tensors are ``[batch, tokens, heads, dim]``."""

    def denoising(self, denoiser: str, branch: str, step: int | None) -> AbstractContextManager[None]:
        """Be around one call of a denoising network."""


@contextmanager
def tapped(model: VideoModel, listener: Listener) -> Iterator[None]:
    """Let ``listener`` hear everything that ``model`` does inside.

    Raises:
        CaptureError: if the model's attention processors are not of the kind that can be listened to.

    """
    layers = model.text_attention()
    with ExitStack() as stack:
        for layer in layers:
            _follow(layer, listener, stack)
        for site in {_call_site(layer): None for layer in layers}:
            stack.enter_context(_attention_seen(site, model.attention_function, listener))
        for name, denoiser in model.denoisers().items():
            stack.enter_context(_calls_announced(name, denoiser, listener))
        yield


def _follow(layer: TextAttention, listener: Listener, stack: ExitStack) -> None:
    def enter(_module: nn.Module, _inputs: object) -> None:
        listener.enter(layer.name)

    def leave(_module: nn.Module, _inputs: object, _output: object) -> None:
        listener.leave()

    stack.callback(layer.module.register_forward_pre_hook(enter).remove)
    stack.callback(layer.module.register_forward_hook(leave, always_call=True).remove)


def _call_site(layer: TextAttention) -> ModuleType:
    """Find the Python module in whose names the layer's processor looks up the attention function."""
    return sys.modules[type(layer.module.processor).__module__]


def _attention_seen(site: ModuleType, name: str, listener: Listener) -> AbstractContextManager[None]:
    function = getattr(site, name, None)
    if function is None:
        raise CaptureError(
            f"the attention processors of {site.__name__} do not call `{name}`, so nothing can be captured. "
            "Use the processors that come with diffusers 0.42, or do without capture"
        )
    return _replaced(site, name, _seen(function, listener))


def _seen(function: Callable[Call, Tensor], listener: Listener) -> Callable[Call, Tensor]:
    signature = inspect.signature(function)

    def attention(*args: Call.args, **kwargs: Call.kwargs) -> Tensor:
        output = function(*args, **kwargs)
        given = signature.bind(*args, **kwargs).arguments
        listener.see(given["query"], given["key"], given.get("attn_mask"), given.get("scale"))
        return output

    return attention


def _calls_announced(name: str, denoiser: nn.Module, listener: Listener) -> AbstractContextManager[None]:
    cache_context: Callable[..., AbstractContextManager[None]] = denoiser.cache_context  # type: ignore[assignment]

    @contextmanager
    def announced(branch: str, **where: object) -> Iterator[None]:
        found = where.get("step_index")
        step = found if isinstance(found, int) else None
        with cache_context(branch, **where), listener.denoising(name, branch, step):
            yield

    return _replaced(denoiser, "cache_context", announced)


@contextmanager
def _replaced(owner: object, name: str, replacement: object) -> Iterator[None]:
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
