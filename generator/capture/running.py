"""What capture does in each thread. A thread without capture sees nothing of what others do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from generator.capture.attention import AttentionCall

Look = Callable[[str, AttentionCall], None]
"""Is told of each call of a text attention layer, by name, before it is computed."""


@dataclass(eq=False)
class Running:
    """What a thread is doing.

    ``recording`` is what listens to the pipeline that it runs. ``look`` is told of its attention to the text before.
    ``layer`` is the tag (`generator.capture.observed`) of the text attention layer that it runs. ``kernels`` are called
    instead of torch's own attention. All may be None.
    ``is_compiled`` tells whether compiled code called the attention function.
    """

    recording: object | None = None
    look: Look | None = None
    layer: Tensor | None = None
    kernels: Callable[..., Tensor] | None = None
    is_compiled: bool = False


class _Threads(threading.local):
    """One `Running` for each thread; torch.compile can trace that it is read, and changes of what is read."""

    def __init__(self) -> None:
        self.running = Running()


_threads = _Threads()


def here() -> Running:
    """Return what this thread is doing."""
    return _threads.running


@contextmanager
def recorded_by(recording: object | None) -> Iterator[None]:
    """Let ``recording`` alone listen to what this thread does inside the context; None: nothing listens."""
    running = here()
    before, running.recording = running.recording, recording
    try:
        yield
    finally:
        if running.recording is recording:
            running.recording = before


@contextmanager
def looking(look: Look) -> Iterator[None]:
    """Let ``look`` be told of each call of a text attention layer of this thread inside the context."""
    running = here()
    before, running.look = running.look, look
    try:
        yield
    finally:
        running.look = before


@contextmanager
def unobserved() -> Iterator[None]:
    """Let attention functions inside the context be called as they are."""
    running = here()
    layer, kernels = running.layer, running.kernels
    running.layer = running.kernels = None
    try:
        yield
    finally:
        running.layer, running.kernels = layer, kernels


@contextmanager
def attending_with(kernels: Callable[..., Tensor]) -> Iterator[None]:
    """Let ``kernels`` compute the attention of this thread inside the context, where it calls torch's own function."""
    running = here()
    before, running.kernels = running.kernels, kernels
    try:
        yield
    finally:
        running.kernels = before


@contextmanager
def called_by_compiled_code() -> Iterator[None]:
    """Note that compiled code called the attention function that runs inside the context."""
    running = here()
    before, running.is_compiled = running.is_compiled, True
    try:
        yield
    finally:
        running.is_compiled = before
