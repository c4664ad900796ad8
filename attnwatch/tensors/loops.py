"""Inner loops, compiled if a C compiler was available at installation, else in numpy; both give the same bytes."""

import numpy as np
import numpy.typing as npt

__all__ = ["FRACTION_SHIFT", "HALF_TO_SINGLE", "NEGATIVE_ZERO", "OPAQUE", "SMALLEST_INVALID_HALF", "WHY_NOT_COMPILED"]
__all__ += ["add_halves", "colour", "tint"]

Picture = npt.NDArray[np.uint8]

SMALLEST_INVALID_HALF = 0x7C00  # infinity; above it NaN, then everything negative
NEGATIVE_ZERO = 0x8000
HALF_TO_SINGLE = np.float32(2.0**112)  # difference of the exponent biases, 127 - 15
_LEVELS = 256
OPAQUE = 256  # weights of a tint are fixed-point with 8 fractional bits

FRACTION_SHIFT = 13  # the fraction of a half has 10 bits, that of a single 23
_ROWS = 64  # rows tinted at once: few enough to stay in the cache


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


def colour_with_numpy(target: Picture, grey: Picture, table: bytes) -> None:
    """Map each pixel of a picture, uint8 `[height, width]`, through a table of 256 bytes.

    The target must not overlap the picture.

    Raises:
        ValueError: the sizes differ, or the table has another length.

    """
    if target.shape != grey.shape:
        raise ValueError("found pictures of different sizes; expected equal sizes")
    target[:] = np.frombuffer(grey.tobytes().translate(table), np.uint8).reshape(grey.shape)


def tint_with_numpy(target: Picture, below: Picture, grey: Picture, table: bytes, weights: bytes) -> None:
    """Lay a colour over each pixel of a picture, chosen by its grey level: `(1 - weight) * below + weight * colour`.

    The target must not overlap either picture.

    Args:
        target: the result, uint8 `[height, width]`.
        below: the picture that shines through, of the same size.
        grey: level of each pixel, of the same size.
        table: the colour of each level, 256 bytes.
        weights: its weight, 0 to `OPAQUE`, as 256 uint16 in the machine's byte order.

    Raises:
        ValueError: the sizes differ, a table has another length, or a weight is above `OPAQUE`.

    """
    if not target.shape == below.shape == grey.shape:
        raise ValueError("found pictures of different sizes; expected equal sizes")
    if (len(table), len(weights)) != (_LEVELS, 2 * _LEVELS):
        found = f"found tables of {len(table)} and {len(weights)} bytes"
        raise ValueError(f"{found}; expected {_LEVELS} and {2 * _LEVELS}")
    weight = np.frombuffer(weights, np.uint16)
    if weight.max() > OPAQUE:
        raise ValueError(f"found a weight above {OPAQUE}; expected 0 to {OPAQUE}")
    kept = OPAQUE - weight
    added = np.frombuffer(table, np.uint8) * weight + np.uint16(OPAQUE // 2)
    for first in range(0, len(target), _ROWS):
        rows = slice(first, first + _ROWS)
        mixed = kept[grey[rows]]
        mixed *= below[rows]
        mixed += added[grey[rows]]
        np.right_shift(mixed, 8, out=target[rows], casting="unsafe")


try:
    from attnwatch.tensors._loops import add_halves, colour, tint
except ImportError as _error:  # no C compiler was available at installation
    add_halves, colour, tint = add_halves_with_numpy, colour_with_numpy, tint_with_numpy
    WHY_NOT_COMPILED: str | None = str(_error)
else:
    WHY_NOT_COMPILED = None
