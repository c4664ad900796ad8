"""Inner loops, compiled if a C compiler was available at installation, else in numpy; both give the same bytes."""

import numpy as np
import numpy.typing as npt

__all__ = ["FRACTION_SHIFT", "HALF_TO_SINGLE", "NEGATIVE_ZERO", "OPAQUE", "SMALLEST_INVALID_HALF", "WHY_NOT_COMPILED"]
__all__ += ["add_halves", "blend", "colour"]

Picture = npt.NDArray[np.uint8]

SMALLEST_INVALID_HALF = 0x7C00  # infinity; above it NaN, then everything negative
NEGATIVE_ZERO = 0x8000
HALF_TO_SINGLE = np.float32(2.0**112)  # difference of the exponent biases, 127 - 15
OPAQUE = 256  # blend weights are fixed-point with 8 fractional bits

FRACTION_SHIFT = 13  # the fraction of a half has 10 bits, that of a single 23
_ROWS = 64  # rows blended at once: few enough to stay in the cache


def add_halves_with_numpy(
    total: npt.NDArray[np.float32], halves: npt.NDArray[np.uint16], starts: npt.NDArray[np.int64]
) -> bool:
    """Add maps to a total in place; return whether all their values are finite and not negative.

    The total is invalid if the result is False. Otherwise it must be multiplied by `HALF_TO_SINGLE`: a half shifted so
    that its fraction aligns with a single's is a single whose exponent is too small by the difference of the biases.
    This also holds for subnormal halves, and takes a fifth of the time of numpy's conversion.

    Args:
        total: flat; its size is that of each map.
        halves: flat values of all maps, as the bits of half floats.
        starts: index of the first value of each map to add.

    Raises:
        IndexError: a map extends beyond the values.

    """
    if starts.size and not 0 <= starts.min() <= starts.max() <= halves.size - total.size:
        raise IndexError("found a map that extends beyond the values; expected all maps within them")
    buffer = np.empty(total.size, np.uint32)
    for start in starts:
        bits = halves[start : start + total.size]
        if total.size and bits.max() >= SMALLEST_INVALID_HALF:
            bits = np.where(bits == NEGATIVE_ZERO, np.uint16(0), bits)
            if bits.max() >= SMALLEST_INVALID_HALF:
                return False
        np.copyto(buffer, bits)
        np.left_shift(buffer, FRACTION_SHIFT, out=buffer)
        total += buffer.view(np.float32)
    return True


def blend_with_numpy(target: Picture, below: Picture, above: Picture, weight: int) -> None:
    """Blend two pictures, uint8 `[height, width]`; ``weight`` is that of the upper one, 0 to `OPAQUE`.

    The target must not overlap either picture.

    Raises:
        ValueError: the sizes differ, or the weight is out of range.

    """
    if not target.shape == below.shape == above.shape:
        raise ValueError("found pictures of different sizes; expected equal sizes")
    if not 0 <= weight <= OPAQUE:
        raise ValueError(f"found a weight of {weight}; expected 0 to {OPAQUE}")
    for first in range(0, len(target), _ROWS):
        rows = slice(first, first + _ROWS)
        mixed = np.multiply(below[rows], np.uint16(OPAQUE - weight), dtype=np.uint16)
        mixed += np.multiply(above[rows], np.uint16(weight), dtype=np.uint16)
        mixed += np.uint16(OPAQUE // 2)
        np.right_shift(mixed, 8, out=target[rows], casting="unsafe")


def colour_with_numpy(target: Picture, grey: Picture, table: bytes) -> None:
    """Map each pixel of a picture, uint8 `[height, width]`, through a table of 256 bytes.

    The target must not overlap the picture.

    Raises:
        ValueError: the sizes differ, or the table has another length.

    """
    if target.shape != grey.shape:
        raise ValueError("found pictures of different sizes; expected equal sizes")
    target[:] = np.frombuffer(grey.tobytes().translate(table), np.uint8).reshape(grey.shape)


try:
    from attnwatch.tensors._loops import add_halves, blend, colour
except ImportError as _error:  # no C compiler was available at installation
    add_halves, blend, colour = add_halves_with_numpy, blend_with_numpy, colour_with_numpy
    WHY_NOT_COMPILED: str | None = str(_error)
else:
    WHY_NOT_COMPILED = None
