"""Hears of each call of one pipeline object.

Python looks up ``__call__`` in the class, so that is where calls are heard; those of other objects go on as they are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

from diffusers import DiffusionPipeline

from generator.capture.replacing import Function, shared
from generator.capture.running import recorded_by
from generator.errors import UsageError

Record = Callable[[Function, tuple[Any, ...], dict[str, Any]], Any]
"""Makes a recorded call: takes the pipeline's own function and its arguments, and returns its result."""


@dataclass(eq=False)
class _Heard:
    """A pipeline whose calls are heard at ``entry``, the replacement of its class's ``__call__``."""

    pipe: DiffusionPipeline
    record: Record
    entry: Function | None = None


_heard: dict[int, _Heard] = {}
"""By the pipeline's identity."""


@contextmanager
def calls_recorded(pipe: DiffusionPipeline, record: Record) -> Iterator[None]:
    """Let ``record`` make each call of ``pipe`` inside the context, in whatever thread.

    Other pipelines of its class are called as they are, also by a callback of a recorded call.

    Raises:
        UsageError: if the calls of the pipeline are being recorded already.

    """
    mine = _Heard(pipe, record)
    try:
        if _heard.setdefault(id(pipe), mine) is not mine:
            raise UsageError(
                f"found a `capture` of this {type(pipe).__name__} that has not ended; expected one at a time for each "
                "pipeline. End its `with` block first, name all words in one `capture`, or load another pipeline"
            )
        with shared(type(pipe), "__call__", _listening) as mine.entry:
            yield
    finally:
        if _heard.get(id(pipe)) is mine:
            del _heard[id(pipe)]


def _listening(call: Function) -> Function:
    """Wrap ``__call__`` of a class of pipelines."""

    @wraps(call)
    def listening(self: DiffusionPipeline, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the wrapped function
        heard = _heard.get(id(self))
        if heard is None:
            with recorded_by(None):
                return call(self, *args, **kwargs)
        if heard.entry is listening:
            return heard.record(call, (self, *args), kwargs)
        return call(self, *args, **kwargs)  # heard already, at the `__call__` of a class derived from this one

    return listening
