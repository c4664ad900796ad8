"""Types of the values that settings have, and the checks that pydantic has no type for."""

import re
from math import prod
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

_SIDES = 2
MAX_NAME_BYTES = 200
MAX_ID_BYTES = 120
"""Longest video id that FORMAT.md allows."""


def no_boolean(value: object) -> object:
    """Refuse true and false where a number is expected; Python takes them for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("expected a number")  # noqa: TRY004 - pydantic turns it into a ValidationError
    return value


def file_name(name: str, *, most_bytes: int = MAX_NAME_BYTES) -> str:
    """Return ``name`` if a visible file's name can begin with it.

    Raises:
        ValueError: naming what is expected instead.

    """
    if not re.fullmatch(r"[^./\x00-\x1f\x7f][^/\x00-\x1f\x7f]*", name) or len(name.encode()) > most_bytes:
        raise ValueError(f"expected a name of 1 to {most_bytes} bytes without `/`, control characters, a leading `.`")
    return name


def listed(value: object) -> object:
    """Split text at commas, which is how flags and environment variables hold lists."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def alone(value: object) -> object:
    """Take text for a list of one, such as the only path of a list of paths: a path may contain commas."""
    return [value] if isinstance(value, str) else value


def area(value: object) -> object:
    """Read ``832x480`` as the product of both numbers."""
    if not isinstance(value, str):
        return value
    sides = [part.strip() for part in re.split(r"[x*×]", value)]
    if len(sides) > _SIDES or not all(side.isdecimal() for side in sides):
        raise ValueError("expected a size, such as 832x480, or a number of pixels")
    return prod(map(int, sides))


def _switch_or_blocks(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    """Word both errors of a union as one."""
    try:
        return handler(value)
    except ValidationError:
        raise ValueError("expected true, false or `blocks`") from None


Whole = Annotated[int, BeforeValidator(no_boolean)]
Positive = Annotated[Whole, Field(ge=1, le=100_000)]
Index = Annotated[Whole, Field(ge=0, le=100_000)]
Area = Annotated[Whole, BeforeValidator(area), Field(ge=1, le=10**9)]
Number = Annotated[float, BeforeValidator(no_boolean), Field(allow_inf_nan=False)]
Seed = Annotated[Whole, Field(ge=0, le=2**62)]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Paths = Annotated[tuple[Word, ...], BeforeValidator(alone)]
Compilation = Annotated[Literal["blocks"] | bool, WrapValidator(_switch_or_blocks)]
