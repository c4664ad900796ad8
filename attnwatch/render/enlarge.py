"""Enlarges maps in floating point, to where the pictures of `attnwatch.render.compose`, in 8 bits, have them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from attnwatch.settings import Upsampling
from attnwatch.tensors.reduction import Float32Array

Float64Array = npt.NDArray[np.float64]

_LOBES = 3  # of Lanczos' kernel, as many as swscale's


class Enlarger:
    """Enlarges maps of one size to pictures of one size.

    Args:
        grid: rows and columns of a map.
        size: width and height of the pictures.
        upsampling: how values between the cells are found.

    """

    def __init__(self, grid: tuple[int, int], size: tuple[int, int], upsampling: Upsampling) -> None:
        (rows, columns), (width, height) = grid, size
        self._across = _Taps.of(columns, width, upsampling)
        self._down = _Taps.of(rows, height, upsampling)

    def __call__(self, values: Float32Array) -> Float32Array:
        """Return a map, `[rows, columns]`, as `[height, width]`; below 0 where Lanczos' kernel overshoots."""
        wide = self._across.apply(values.T.astype(np.float64)).T.astype(np.float32)
        return self._down.apply(np.ascontiguousarray(wide))


@dataclass(frozen=True)
class _Taps:
    """What each new row is made of.

    Attributes:
        sources: numbers of the rows that it is made of, `[tap, new row]`.
        weights: their weights, `[tap, new row]`.

    """

    sources: npt.NDArray[np.intp]
    weights: Float64Array

    @classmethod
    def of(cls, given: int, wanted: int, upsampling: Upsampling) -> "_Taps":
        """Return the taps from one number of rows to another, with half-pixel centres and repeated edges."""
        centres = (np.arange(wanted) + 0.5) * given / wanted
        if upsampling == "nearest":
            return cls(centres.astype(np.intp)[None], np.ones((1, wanted)))
        kernel, radius = _KERNELS[upsampling]
        spread = max(1.0, given / wanted)  # also right for pictures that are smaller than the map
        first = np.floor(centres - 0.5 - radius * spread).astype(np.intp) + 1
        sources = first + np.arange(int(np.ceil(2 * radius * spread)))[:, None]
        weights = kernel((sources - (centres - 0.5)) / spread)
        return cls(np.clip(sources, 0, given - 1), weights / weights.sum(axis=0))

    def apply(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the new rows of an array, in its type."""
        total = np.zeros((self.weights.shape[1], rows.shape[1]), rows.dtype)
        for sources, weights in zip(self.sources, self.weights.astype(rows.dtype), strict=True):
            part = rows[sources]
            part *= weights[:, None]
            total += part
        return total


def _triangle(distance: Float64Array) -> Float64Array:
    return np.asarray(np.maximum(0.0, 1 - np.abs(distance)), np.float64)


def _lanczos(distance: Float64Array) -> Float64Array:
    kernel = np.where(np.abs(distance) < _LOBES, np.sinc(distance) * np.sinc(distance / _LOBES), 0.0)
    return np.asarray(kernel, np.float64)


_KERNELS: dict[Upsampling, tuple[Callable[[Float64Array], Float64Array], int]] = {
    "bilinear": (_triangle, 1),
    "lanczos": (_lanczos, _LOBES),
}
