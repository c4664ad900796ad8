"""Averages stored maps to float32 and checks that every value is finite and not negative, or masks what is not finite.

The compiled loop only adds up and reports that something is invalid. Masks are made here, with numpy, so both loops
give the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attnwatch.errors import Problem, TensorError
from attnwatch.tensors.loops import FRACTION_SHIFT, HALF_TO_SINGLE, NEGATIVE_ZERO, SMALLEST_INVALID_HALF, add_halves

Float32Array = npt.NDArray[np.float32]
Stored = npt.NDArray[Any]  # values as stored in a file: singles, or halves as their bits

STORED: dict[str, type[np.uint16] | type[np.float32]] = {"F16": np.uint16, "F32": np.float32}

_VALID = "probabilities: finite, at least 0"
_NONFINITE = "NaN or infinite values"


class Mean:
    """Accumulates maps, as stored, into their float32 mean.

    Args:
        size: number of values in each map.
        kind: element type, `F16` or `F32`.
        masked: accept NaN and infinite values: their places in the mean become NaN.

    """

    def __init__(self, size: int, kind: str, *, masked: bool = False) -> None:
        self._total = np.zeros(size, np.float32)
        self._kind = kind
        self._count = 0
        self._masked = masked
        self._nonfinite: npt.NDArray[np.bool_] | None = None

    def add(self, values: Stored, starts: Sequence[int], path: Path, name: str) -> None:
        """Add the maps that start at the given positions in flat values.

        Raises:
            TensorError: a value is negative, or infinite or not a number and not masked; or the sum is too large for
                float32. ``path`` and ``name`` identify the tensor.

        """
        self._count += len(starts)
        before = self._total.copy() if self._masked else None
        if self._kind == "F16" and add_halves(self._total, values, np.array(starts, np.int64)):
            return
        if self._kind == "F16" and before is None:
            raise _refusal(path, name, self._what_is_wrong(values, starts))
        if before is not None:
            self._total = before
        for start in starts:
            self._add_one(values[start : start + self._total.size], path, name)
        if not np.isfinite(self._total).all():
            raise TensorError(problem(path, name, "values whose sum exceeds the range of float32", _VALID))

    def _add_one(self, values: Stored, path: Path, name: str) -> None:
        if self._masked:
            values, nonfinite = masked(values, path, name)
            if nonfinite.any():
                self._nonfinite = nonfinite if self._nonfinite is None else self._nonfinite | nonfinite
        else:
            values = valid(values, path, name)
        with np.errstate(over="ignore"):  # it is checked for all maps at once
            # Halves as in `add_halves`: too small by the difference of the exponent biases.
            self._total += values if values.dtype == np.float32 else _shifted(values)

    def _what_is_wrong(self, values: Stored, starts: Sequence[int]) -> str:
        found = (_invalid(values[start : start + self._total.size]) for start in starts)
        return next(filter(None, found), "values that changed while being read")

    def value(self) -> Float32Array:
        """Return the mean; call this only once."""
        # Scale at the end, because multiplying numbers as small as unscaled halves takes ten times as long.
        self._total *= (HALF_TO_SINGLE if self._kind == "F16" else np.float32(1)) / np.float32(self._count)
        if self._nonfinite is not None:
            self._total[self._nonfinite] = np.nan
        return self._total


def valid(values: Stored, path: Path, name: str) -> Stored:
    """Return stored values after checking that all are finite and not negative; negative zeros become zero.

    Raises:
        TensorError: a value is negative, infinite or not a number.

    """
    if values.dtype == np.uint16 and values.size and values.max() >= SMALLEST_INVALID_HALF:
        values = np.where(values == NEGATIVE_ZERO, np.uint16(0), values)
    found = _invalid(values)
    if found is not None:
        raise _refusal(path, name, found)
    return values


def masked(values: Stored, path: Path, name: str) -> tuple[Stored, npt.NDArray[np.bool_]]:
    """Return stored values with 0 in place of NaN and infinite ones, and where those are.

    Raises:
        TensorError: a value is negative.

    """
    numbers = values.view(np.float16) if values.dtype == np.uint16 else values
    nonfinite = ~np.isfinite(numbers)
    return valid(np.where(nonfinite, values.dtype.type(0), values), path, name), nonfinite


def _shifted(halves: Stored) -> Float32Array:
    return (halves.astype(np.uint32) << FRACTION_SHIFT).view(np.float32)


def _invalid(values: Stored) -> str | None:
    """Describe an invalid value among stored values; None if all are valid."""
    if values.size == 0 or (values.dtype == np.uint16 and values.max() < SMALLEST_INVALID_HALF):
        return None
    numbers = values.view(np.float16) if values.dtype == np.uint16 else values
    if numbers.min() >= 0 and numbers.max() < np.inf:  # false for NaN too
        return None
    return f"a negative value ({numbers.min():g})" if np.isfinite(numbers).all() else _NONFINITE


def _refusal(path: Path, name: str, found: str) -> TensorError:
    hint = " (the setting nonfinite: mask draws them as the lowest attention)" if found == _NONFINITE else ""
    return TensorError(problem(path, name, found, f"{_VALID}{hint}"))


def problem(path: Path, name: str | None, found: str, expected: str) -> Problem:
    """Describe a problem with a tensor, or with the file itself if no name is given."""
    where = "the file itself" if name is None else f"tensor {name!r}"
    remedy = "write it again as described in FORMAT.md, 'Tensors'"
    return Problem(file=path, field=where, found=found, expected=expected, remedy=remedy)
