"""Measures of single maps: how much attention there is, where it is, and how concentrated.

All functions take maps `[..., height, width]` of probabilities and return float64 `[...]`: one value for each map. With
N cells of attention p and total S = sum(p), q = p / S is the map as a distribution over the picture. Places are those
of the centres of cells, as shares of the width (x, from the left) and of the height (y, from the top). Cells that are
NaN (masked) count as 0. Where a map is 0 everywhere, only its mass and its peak are defined; the rest is NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
Maps = npt.NDArray[np.floating]

HOTTEST = 0.1
"""Share of the cells that counts as the hottest area."""

_PIECE = 4096  # values; of much longer rows, BLAS makes several threads compute the inner product


@dataclass(frozen=True)
class Spatial:
    """The measures of each map; see the functions of the same names.

    Attributes:
        mass: share of attention that goes to the word.
        peak: highest probability of a cell.
        peak_x: place of that cell, the first of several, as a share of the width.
        peak_y: the same, as a share of the height.
        entropy: entropy of the distribution, as a share of its maximum.
        concentration: 1 - `entropy`.
        effective_area: share of the picture over which attention is spread.
        centroid_x: mean place, as a share of the width.
        centroid_y: the same, as a share of the height.
        spread: root mean square distance from the centroid, in diagonals of the picture.
        hottest_share: share of the mass in the hottest tenth of the area.

    """

    mass: Float64Array
    peak: Float64Array
    peak_x: Float64Array
    peak_y: Float64Array
    entropy: Float64Array
    concentration: Float64Array
    effective_area: Float64Array
    centroid_x: Float64Array
    centroid_y: Float64Array
    spread: Float64Array
    hottest_share: Float64Array

    @classmethod
    def stacked(cls, measures: Sequence["Spatial"]) -> "Spatial":
        """Return measures of several sets of maps as one, with a new first axis."""
        return cls(*(np.stack([getattr(one, field.name) for one in measures]) for field in fields(cls)))

    def columns(self) -> dict[str, Float64Array]:
        """Return all measures by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def spatial(maps: Maps) -> Spatial:
    """Return all measures of each map, `[..., height, width]`."""
    cells = _Cells(maps)
    entropy = cells.evenness
    peak, (peak_x, peak_y) = cells.values.max(axis=-1), cells.peak_place
    centroid_x, centroid_y = cells.centroid
    return Spatial(
        mass=cells.total / cells.count,
        peak=peak,
        peak_x=np.where(cells.is_empty, np.nan, peak_x),
        peak_y=np.where(cells.is_empty, np.nan, peak_y),
        entropy=entropy,
        concentration=1 - entropy,
        effective_area=cells.effective_area,
        centroid_x=centroid_x,
        centroid_y=centroid_y,
        spread=cells.spread,
        hottest_share=cells.hottest_share,
    )


def unsorted(maps: Maps) -> dict[str, Float64Array]:
    """Return the measures of each map that take no sorting of its cells, in half the time of `spatial`; by name.

    Without the places of peaks too, which are of no use in a mean over many maps.
    """
    cells = _Cells(maps)
    centroid_x, centroid_y = cells.centroid
    return {
        "mass": cells.total / cells.count,
        "peak": cells.values.max(axis=-1),
        "concentration": 1 - cells.evenness,
        "effective_area": cells.effective_area,
        "centroid_x": centroid_x,
        "centroid_y": centroid_y,
        "spread": cells.spread,
    }


def inner(first: Float64Array, second: Float64Array) -> Float64Array:
    """Return the sums of products along the last axis of arrays of one shape, `[...]`, computed by one thread.

    Threads of BLAS wait for each other on a busy machine: an inner product took a thousand times as long.
    """
    leading, count = first.shape[:-1], first.shape[-1]
    if count <= _PIECE:
        return np.asarray(np.matmul(first[..., None, :], second[..., :, None])[..., 0, 0])
    whole = count - count % _PIECE
    pieces = (part[..., :whole].reshape(*leading, -1, _PIECE) for part in (first, second))
    return np.asarray(inner(*pieces).sum(axis=-1) + inner(first[..., whole:], second[..., whole:]))


class _Cells:
    """Maps as rows of cells, float64 `[..., cell]`, with what several measures need."""

    def __init__(self, maps: Maps) -> None:
        self._leading, (self.height, self.width) = maps.shape[:-2], maps.shape[-2:]
        self.count = self.height * self.width
        self._given = without_nan(maps).reshape(*self._leading, self.count)
        self.values = self._given.astype(np.float64)
        self.total = self.values.sum(axis=-1)

    @property
    def is_empty(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.total == 0)

    @cached_property
    def entropy(self) -> Float64Array:
        """The entropy in nats: `-sum(q ln q) = ln S - sum(p ln p) / S`, where `0 ln 0` is 0."""
        logarithms = np.log(self.values, out=np.zeros_like(self.values), where=self.values > 0)
        entropy = self._log_total - self._over_total(inner(self.values, logarithms))
        return np.asarray(np.maximum(entropy, 0.0))

    @property
    def effective_area(self) -> Float64Array:
        """`exp(H) / N`: exp(H) is the number of cells that are equally attended in a uniform map of the same entropy.

        That number is due to Hill (Ecology 54, 1973, 427-432).
        """
        return np.asarray(np.exp(self.entropy) / self.count)

    @property
    def evenness(self) -> Float64Array:
        """The entropy as a share of its maximum, `H / ln N`; 0 for a grid of one cell.

        In ecology, this is Pielou's evenness (J. Theor. Biol. 13, 1966, 131-144). `concentration` is 1 minus it: 0 if
        attention is the same everywhere, 1 if it is in one cell.
        """
        if self.count == 1:
            return np.where(self.is_empty, np.nan, 0.0)
        return np.asarray(self.entropy / np.log(self.count))

    @property
    def _log_total(self) -> Float64Array:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.total))

    @property
    def peak_place(self) -> tuple[Float64Array, Float64Array]:
        row, column = np.divmod(self.values.argmax(axis=-1), self.width)
        return (column + 0.5) / self.width, (row + 0.5) / self.height

    @cached_property
    def _marginals(self) -> tuple[Float64Array, Float64Array]:
        """The distribution over the columns, `[..., width]`, and over the rows, `[..., height]`."""
        cells = self.values.reshape(*self._leading, self.height, self.width)
        return self._over_total(cells.sum(axis=-2)), self._over_total(cells.sum(axis=-1))

    @cached_property
    def centroid(self) -> tuple[Float64Array, Float64Array]:
        """The mean places, `sum(q x)` and `sum(q y)`."""
        across, down = self._marginals
        return across @ _centres(self.width), down @ _centres(self.height)

    @property
    def spread(self) -> Float64Array:
        """`sqrt(sum(q d^2))` with the distances d from the centroid, in diagonals of a picture of square cells."""
        squares = (
            inner(marginal, (_centres(size) - centre[..., None]) ** 2) * size**2
            for marginal, centre, size in zip(self._marginals, self.centroid, (self.width, self.height), strict=True)
        )
        return np.asarray(np.sqrt(sum(squares) / (self.width**2 + self.height**2)))

    @property
    def hottest_share(self) -> Float64Array:
        """The share of the mass in the `HOTTEST` share of the cells; of one that is cut, the part inside counts."""
        whole, part = divmod(HOTTEST * self.count, 1)
        border = self.count - int(whole) - 1
        ordered = np.partition(self._given, border, axis=-1)  # in half the time if they are float32
        inside = ordered[..., border + 1 :].sum(axis=-1, dtype=np.float64)
        return self._over_total(inside + part * ordered[..., border].astype(np.float64))

    def _over_total(self, values: Float64Array) -> Float64Array:
        """Divide by the sum of each map; NaN for empty ones."""
        with np.errstate(invalid="ignore"):
            return np.asarray((values.T / self.total.T).T)  # transposed, so that further axes of the values come first


def without_nan(maps: Maps) -> Maps:
    """Return maps with 0 for cells that are NaN; the same array if there are none, which takes a third of the time."""
    with np.errstate(over="ignore"):
        return np.nan_to_num(maps, nan=0.0) if np.isnan(maps.sum()) else maps


def _centres(size: int) -> Float64Array:
    """Return the places of the centres of cells along one axis, `[size]`, 0..1."""
    return (np.arange(size) + 0.5) / size
