"""Colours in wide-gamut primaries. Matplotlib's are sRGB; the same numbers in other primaries are other colours."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

_Float64Array = npt.NDArray[np.float64]

_DISPLAY_GAMMA = 2.4  # BT.1886, for pictures of all these primaries alike

# x and y of red, green and blue by code of ITU-T H.273, table 2; white is D65. Primaries that are not listed differ so
# little from sRGB that players ignore it, or are rare.
_D65 = (0.3127, 0.3290)
_SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_WIDE = {
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # BT.2020
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # Display P3
}


def is_wide(primaries: int) -> bool:
    """Return whether colours of some primaries have to be converted to be shown in sRGB."""
    return primaries in _WIDE


def from_srgb(rgb: _Float64Array, primaries: int) -> _Float64Array:
    """Return sRGB colours (`[..., 3]`, 0..1) as R'G'B' of other primaries; unchanged if these are not wide."""
    if primaries not in _WIDE:
        return rgb
    return _through(rgb, np.linalg.inv(_to_xyz(primaries)) @ _to_xyz(None))


def to_srgb(rgb: _Float64Array, primaries: int) -> _Float64Array:
    """Return R'G'B' of some primaries (`[..., 3]`, 0..1) as sRGB; colours beyond sRGB are clipped."""
    if primaries not in _WIDE:
        return rgb
    return _through(rgb, np.linalg.inv(_to_xyz(None)) @ _to_xyz(primaries))


def _through(rgb: _Float64Array, matrix: _Float64Array) -> _Float64Array:
    """Multiply linear light by a matrix."""
    light = np.power(rgb, _DISPLAY_GAMMA) @ matrix.T
    np.clip(light, 0, 1, out=light)  # in place: a page over a video of 4K takes 250 MB
    return np.asarray(np.power(light, 1 / _DISPLAY_GAMMA, out=light))


@lru_cache(maxsize=4)
def _to_xyz(primaries: int | None) -> _Float64Array:
    """Return the matrix from linear RGB to CIE XYZ, `[3, 3]`; None for sRGB."""
    corners = np.stack([_xyz(*corner) for corner in (_SRGB if primaries is None else _WIDE[primaries])], axis=1)
    return np.asarray(corners * np.linalg.solve(corners, _xyz(*_D65)))


def _xyz(x: float, y: float) -> _Float64Array:
    """Return the CIE XYZ of a chromaticity, at luminance 1."""
    return np.array([x / y, 1, (1 - x - y) / y])
