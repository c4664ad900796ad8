"""Stored maps -> their float32 mean, once every value is finite and not negative.

A half's bits, shifted so that its fraction meets the single's, are a single whose exponent is too small by the
difference of the two biases. That holds for subnormal halves too, and takes a fifth of numpy's conversion. The sum is
scaled once, at the end: multiplying takes ten times as long for numbers as small as these.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attnwatch.errors import Problem, TensorError

Float32Array = npt.NDArray[np.float32]
Stored = npt.NDArray[Any]  # values as they are in a file: singles, or halves as their bits
AddHalves = Callable[[Float32Array, npt.NDArray[np.uint16], npt.NDArray[np.int64]], bool]

STORED: dict[str, type[np.uint16] | type[np.float32]] = {"F16": np.uint16, "F32": np.float32}

_SMALLEST_INVALID_HALF = 0x7C00  # infinity; above it NaN, then everything negative
_NEGATIVE_ZERO = 0x8000
_HALF_TO_SINGLE = np.float32(2.0**112)  # the difference of the exponents' biases, 127 - 15
_FRACTION_SHIFT = 13  # a half's fraction has 10 bits, a single's 23


class Mean:
    """Adds up maps, as they are stored, into their float32 mean.

    Args:
        size: number of values of each.
        kind: `F16` or `F32`.

    """

    def __init__(self, size: int, kind: str) -> None:
        self._total = np.zeros(size, np.float32)
        self._kind = kind
        self._count = 0

    def add(self, values: Stored, starts: Sequence[int], path: Path, name: str) -> None:
        """Add the maps that start at some places of flat values.

        Raises:
            TensorError: a value is negative, infinite or not a number; ``path`` and ``name`` say where.

        """
        self._count += len(starts)
        if self._kind == "F16" and add_halves(self._total, values, np.array(starts, np.int64)):
            return
        for start in starts:
            # Halves come here to be refused: it says what was found.
            self._total += valid(values[start : start + self._total.size], path, name)

    def value(self) -> Float32Array:
        """Return the mean, once."""
        self._total *= (_HALF_TO_SINGLE if self._kind == "F16" else np.float32(1)) / np.float32(self._count)
        return self._total


def valid(values: Stored, path: Path, name: str) -> Stored:
    """Return stored values once all of them are finite and not negative; a negative zero becomes zero.

    Raises:
        TensorError: a value is negative, infinite or not a number.

    """
    if values.size == 0:
        return values
    if values.dtype == np.uint16:
        if values.max() < _SMALLEST_INVALID_HALF:
            return values
        values = np.where(values == _NEGATIVE_ZERO, np.uint16(0), values)
    numbers = values.view(np.float16) if values.dtype == np.uint16 else values
    if numbers.min() >= 0 and numbers.max() < np.inf:  # false for NaN too
        return values
    found = f"a negative value ({numbers.min():g})" if np.isfinite(numbers).all() else "NaN or infinite values"
    raise TensorError(problem(path, name, found, "probabilities: finite, at least 0"))


def problem(path: Path, name: str | None, found: str, expected: str) -> Problem:
    """Describe what is wrong with a tensor, or with the file itself if no name is given."""
    where = "the file itself" if name is None else f"tensor {name!r}"
    remedy = "write it again as FORMAT.md, 'Tensors', says"
    return Problem(file=path, field=where, found=found, expected=expected, remedy=remedy)


def add_with_numpy(total: Float32Array, halves: npt.NDArray[np.uint16], starts: npt.NDArray[np.int64]) -> bool:
    """Add maps of halves to a total that is too small by 2 ** -112; tell whether all were finite and not negative.

    The compiled `attnwatch._halves.add` gives the same bits three times as fast.

    Raises:
        IndexError: a map does not lie within the values.

    """
    if starts.size and not 0 <= starts.min() <= starts.max() <= halves.size - total.size:
        raise IndexError("found a map that lies outside of the values; expected all within")
    buffer = np.empty(total.size, np.uint32)
    for start in starts:
        bits = halves[start : start + total.size]
        if total.size and bits.max() >= _SMALLEST_INVALID_HALF:
            bits = np.where(bits == _NEGATIVE_ZERO, np.uint16(0), bits)
            if bits.max() >= _SMALLEST_INVALID_HALF:
                return False
        np.copyto(buffer, bits)
        np.left_shift(buffer, _FRACTION_SHIFT, out=buffer)
        total += buffer.view(np.float32)
    return True


try:
    from attnwatch._halves import add as _compiled
except ImportError:  # there was no C compiler when this was installed
    add_halves: AddHalves = add_with_numpy
    IS_COMPILED = False
else:
    add_halves, IS_COMPILED = _compiled, True
