"""How long the stages of the job in this process take."""

import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Value = TypeVar("_Value")

STAGES = ("verify", "render", "measure", "publish")
"""The stages in their order; none contains the time of another."""

_spent: dict[str, float] = {}


def timed(stage: str) -> Callable[[Callable[_Arguments, _Value]], Callable[_Arguments, _Value]]:
    """Add the time that a function takes to a stage, but for the stages that it contains."""

    def decorate(function: Callable[_Arguments, _Value]) -> Callable[_Arguments, _Value]:
        @wraps(function)
        def call(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Value:
            start, inner = time.monotonic(), sum(_spent.values())
            try:
                return function(*arguments, **named)
            finally:
                inner = sum(_spent.values()) - inner
                _spent[stage] = _spent.get(stage, 0.0) + time.monotonic() - start - inner

        return call

    return decorate


def begin() -> None:
    """Forget what an earlier job in this process has taken."""
    _spent.clear()


def spent() -> Mapping[str, float]:
    """Return the seconds of each stage of this job so far."""
    return dict(_spent)
