"""The inner loops: compiled where there was a C compiler, else numpy. Both give the same bytes."""

import numpy as np
import numpy.typing as npt

__all__ = ["HALF_TO_SINGLE", "NEGATIVE_ZERO", "OPAQUE", "SMALLEST_INVALID_HALF", "WHY_NOT_COMPILED"]
__all__ += ["add_halves", "blend", "colour"]

Picture = npt.NDArray[np.uint8]

SMALLEST_INVALID_HALF = 0x7C00  # infinity; above it NaN, then everything negative
NEGATIVE_ZERO = 0x8000
HALF_TO_SINGLE = np.float32(2.0**112)  # the difference of the exponents' biases, 127 - 15
OPAQUE = 256  # weights of a blend are fixed-point with 8 fractional bits

_FRACTION_SHIFT = 13  # a half's fraction has 10 bits, a single's 23
_ROWS = 64  # blended at once: few enough to stay in the cache


def add_halves_with_numpy(
    total: npt.NDArray[np.float32], halves: npt.NDArray[np.uint16], starts: npt.NDArray[np.int64]
) -> bool:
    """Add maps, given by where they start in flat values; tell whether all values were finite and not negative.

    Where they were not, the total is worthless. Values are given as their bits, and the total is too small by the
    factor `HALF_TO_SINGLE`: a half's bits, shifted so that its fraction meets the single's, are a single whose
    exponent is too small by the difference of the two biases. That holds for subnormal halves too, and takes a fifth
    of numpy's conversion.

    Raises:
        IndexError: a map does not lie within the values.

    """
    if starts.size and not 0 <= starts.min() <= starts.max() <= halves.size - total.size:
        raise IndexError("found a map that lies outside of the values; expected all within")
    buffer = np.empty(total.size, np.uint32)
    for start in starts:
        bits = halves[start : start + total.size]
        if total.size and bits.max() >= SMALLEST_INVALID_HALF:
            bits = np.where(bits == NEGATIVE_ZERO, np.uint16(0), bits)
            if bits.max() >= SMALLEST_INVALID_HALF:
                return False
        np.copyto(buffer, bits)
        np.left_shift(buffer, _FRACTION_SHIFT, out=buffer)
        total += buffer.view(np.float32)
    return True


def blend_with_numpy(target: Picture, below: Picture, above: Picture, weight: int) -> None:
    """Mix two pictures of bytes, `[height, width]`; ``weight`` is that of the one above, 0 to `OPAQUE`.

    The target may overlap neither.

    Raises:
        ValueError: sizes differ, or the weight is another.

    """
    if not target.shape == below.shape == above.shape:
        raise ValueError("found pictures of different sizes; expected the same")
    if not 0 <= weight <= OPAQUE:
        raise ValueError(f"found a weight of {weight}; expected 0 to {OPAQUE}")
    for first in range(0, len(target), _ROWS):
        rows = slice(first, first + _ROWS)
        mixed = np.multiply(below[rows], np.uint16(OPAQUE - weight), dtype=np.uint16)
        mixed += np.multiply(above[rows], np.uint16(weight), dtype=np.uint16)
        mixed += np.uint16(OPAQUE // 2)
        np.right_shift(mixed, 8, out=target[rows], casting="unsafe")


def colour_with_numpy(target: Picture, grey: Picture, table: bytes) -> None:
    """Look each byte of a picture, `[height, width]`, up in a table of 256. The target may not overlap it.

    Raises:
        ValueError: sizes differ, or the table has another length.

    """
    if target.shape != grey.shape:
        raise ValueError("found pictures of different sizes; expected the same")
    target[:] = np.frombuffer(grey.tobytes().translate(table), np.uint8).reshape(grey.shape)


try:
    from attnwatch.tensors._loops import add_halves, blend, colour
except ImportError as _error:  # there was no C compiler when this was installed
    add_halves, blend, colour = add_halves_with_numpy, blend_with_numpy, colour_with_numpy
    WHY_NOT_COMPILED: str | None = str(_error)
else:
    WHY_NOT_COMPILED = None
