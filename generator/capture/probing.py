"""Calls a denoising network up to its first attention to the text, to see what keys it makes of a text.

Nothing is denoised, and what the network keeps between calls is as before.
"""

from collections.abc import Callable, Mapping
from typing import NoReturn

from torch import nn

from generator.capture.attention import AttentionCall
from generator.capture.running import looking

Wanted = Callable[[AttentionCall], AttentionCall | None]
"""Returns the wanted part of an attention call; None to go on to the next call."""


class _Reached(BaseException):
    """Ends a call of a network. No error: nothing between may handle it."""

    def __init__(self, call: AttentionCall) -> None:
        super().__init__()
        self.call = call


def first_attention(network: nn.Module, run: Callable[[], object], wanted: Wanted) -> AttentionCall | None:
    """Return the first wanted part of a text attention call while ``run`` calls ``network``; None if there is none."""

    def look(_layer: str, call: AttentionCall) -> None:
        found = wanted(call)
        if found is not None:
            _stop(found)

    try:
        with looking(look):
            run()
    except _Reached as reached:
        return reached.call
    finally:
        _forget(network)
    return None


def _stop(call: AttentionCall) -> NoReturn:
    raise _Reached(call)


def _forget(network: nn.Module) -> None:
    """Let a network's caches, and what observes the order of its layers, forget an unfinished call.

    A pipeline's first call finds both empty.
    """
    registry = getattr(network, "_diffusers_hook", None)
    if registry is None:
        return
    registry.reset_stateful_hooks()
    hooks: Mapping[str, object] = registry.hooks
    for hook in hooks.values():
        order = getattr(hook, "execution_order", None)
        if isinstance(order, list):
            order.clear()
