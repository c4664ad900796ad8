"""Calls a denoising network up to its first attention to the text, to see what keys it makes of a text.

Nothing is denoised, and what the network keeps between calls is as before.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NoReturn

from torch import nn

from generator.capture.attention import AttentionCall
from generator.capture.running import looking

_CACHE = "_state_cache"
"""Attribute in which a state manager of diffusers keeps the states of a hook by context."""
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
        with looking(look), _set_aside(network):
            run()
    except _Reached as reached:
        return reached.call
    return None


def _stop(call: AttentionCall) -> NoReturn:
    raise _Reached(call)


@contextmanager
def _set_aside(network: nn.Module) -> Iterator[None]:
    """Give the hooks of a network, such as caches, other states inside the context, and their own ones back."""
    with ExitStack() as stack:
        for module in network.modules():
            registry = getattr(module, "_diffusers_hook", None)
            for hook in [] if registry is None else registry.hooks.values():
                stack.enter_context(_kept(hook))
        yield


@contextmanager
def _kept(hook: object) -> Iterator[None]:
    """Restore what a hook keeps between calls."""
    managers = [value for value in vars(hook).values() if hasattr(value, _CACHE)]
    caches = [(manager, getattr(manager, _CACHE)) for manager in managers]
    state = getattr(hook, "state", None)
    values = None if state is None else dict(vars(state))
    order = getattr(hook, "execution_order", None)
    length = len(order) if isinstance(order, list) else 0
    try:
        for manager, _ in caches:
            setattr(manager, _CACHE, {})
        yield
    finally:
        for manager, cache in caches:
            setattr(manager, _CACHE, cache)
        if values is not None:
            vars(state).clear()
            vars(state).update(values)
        if isinstance(order, list):
            del order[length:]
