"""Puts a function in front of an attention function that passes each call on to what its thread is recording with.

Calls of threads that record nothing, and calls outside of text attention layers, go to the attention function as they
are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial, wraps
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from generator.capture.observed import Attention, call_compiled, call_observed, form_of
from generator.capture.replacing import shared
from generator.capture.running import here, unobserved


@contextmanager
def dispatched(site: ModuleType, name: str) -> Iterator[None]:
    """Dispatch the calls of the attention function that code looks up as ``name`` in the Python module ``site``."""
    with shared(site, name, partial(_passed_on, heads_first=site is functional)):
        yield


def _passed_on(function: Attention, *, heads_first: bool) -> Attention:
    """Wrap an attention function to let the running layer's own call it. torch.compile may trace this."""
    form = form_of(function, heads_first=heads_first)

    @wraps(function)
    def attention(*args: Any, **kwargs: Any) -> Tensor:  # noqa: ANN401 - as the wrapped function
        running = here()
        if running.kernels is not None:
            kernels = running.kernels
            with unobserved():
                return kernels(*args, **kwargs)
        if running.layer is None:
            return function(*args, **kwargs)
        if torch.compiler.is_compiling():
            return call_compiled(running.layer, form, *args, **kwargs)
        return call_observed(running.layer, *args, **kwargs)

    return attention
