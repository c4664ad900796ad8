"""Averages stored maps to float32 and checks that every value is finite and not negative."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attnwatch.errors import Problem, TensorError
from attnwatch.tensors.loops import HALF_TO_SINGLE, NEGATIVE_ZERO, SMALLEST_INVALID_HALF, add_halves

Float32Array = npt.NDArray[np.float32]
Stored = npt.NDArray[Any]  # values as stored in a file: singles, or halves as their bits

STORED: dict[str, type[np.uint16] | type[np.float32]] = {"F16": np.uint16, "F32": np.float32}

_VALID = "probabilities: finite, at least 0"


class Mean:
    """Accumulates maps, as stored, into their float32 mean.

    Args:
        size: number of values in each map.
        kind: element type, `F16` or `F32`.

    """

    def __init__(self, size: int, kind: str) -> None:
        self._total = np.zeros(size, np.float32)
        self._kind = kind
        self._count = 0

    def add(self, values: Stored, starts: Sequence[int], path: Path, name: str) -> None:
        """Add the maps that start at the given positions in flat values.

        Raises:
            TensorError: a value is negative, infinite or not a number; ``path`` and ``name`` identify the tensor.

        """
        self._count += len(starts)
        if self._kind == "F16":
            if not add_halves(self._total, values, np.array(starts, np.int64)):
                raise TensorError(problem(path, name, self._what_is_wrong(values, starts), _VALID))
            return
        for start in starts:
            self._total += valid(values[start : start + self._total.size], path, name)

    def _what_is_wrong(self, values: Stored, starts: Sequence[int]) -> str:
        found = (_invalid(values[start : start + self._total.size]) for start in starts)
        return next(filter(None, found), "values that changed while being read")

    def value(self) -> Float32Array:
        """Return the mean; call this only once."""
        # Scale at the end, because multiplying numbers as small as unscaled halves takes ten times as long.
        self._total *= (HALF_TO_SINGLE if self._kind == "F16" else np.float32(1)) / np.float32(self._count)
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
        raise TensorError(problem(path, name, found, _VALID))
    return values


def _invalid(values: Stored) -> str | None:
    """Describe an invalid value among stored values; None if all are valid."""
    if values.size == 0 or (values.dtype == np.uint16 and values.max() < SMALLEST_INVALID_HALF):
        return None
    numbers = values.view(np.float16) if values.dtype == np.uint16 else values
    if numbers.min() >= 0 and numbers.max() < np.inf:  # false for NaN too
        return None
    return f"a negative value ({numbers.min():g})" if np.isfinite(numbers).all() else "NaN or infinite values"


def problem(path: Path, name: str | None, found: str, expected: str) -> Problem:
    """Describe a problem with a tensor, or with the file itself if no name is given."""
    where = "the file itself" if name is None else f"tensor {name!r}"
    remedy = "write it again as described in FORMAT.md, 'Tensors'"
    return Problem(file=path, field=where, found=found, expected=expected, remedy=remedy)
