"""Measures between two words: whether the model looks for them in the same places."""

import numpy as np
import numpy.typing as npt

from attnwatch.analysis.spatial import HOTTEST, Float64Array, Maps, inner, without_nan


def cosine_similarity(first: Maps, second: Maps) -> Float64Array:
    """Return the cosine of the angle between two words' maps, `sum(a b) / sqrt(sum(a^2) sum(b^2))`.

    Args:
        first: maps `[..., height, width]` of one word.
        second: maps of the other one, of the same shape.

    Returns:
        float64 `[...]`, 0..1: 1 if they are equal except for a factor. NaN where a map is 0 everywhere.

    """
    a, b = _rows(first), _rows(second)
    with np.errstate(invalid="ignore"):
        return np.asarray(inner(a, b) / np.sqrt(inner(a, a) * inner(b, b)))


def overlap(first: Maps, second: Maps) -> Float64Array:
    """Return the intersection over union (Jaccard index) of the hottest areas of two words' maps.

    The hottest area of a map is the tenth of its cells with the highest attention, at least one, and any further cells
    that have as much as the last of them.

    Args:
        first: maps `[..., height, width]` of one word.
        second: maps of the other one, of the same shape.

    Returns:
        float64 `[...]`, 0..1: 1 if they are the same cells. NaN where a map is 0 everywhere.

    """
    a, b = _rows(first), _rows(second)
    hot_a, hot_b = _hottest(a), _hottest(b)
    shared, either = (hot_a & hot_b).sum(axis=-1), (hot_a | hot_b).sum(axis=-1)
    is_empty = (a.max(axis=-1) == 0) | (b.max(axis=-1) == 0)
    return np.where(is_empty, np.nan, shared / either)


def _rows(maps: Maps) -> Float64Array:
    return without_nan(maps).reshape(*maps.shape[:-2], -1).astype(np.float64)


def _hottest(rows: Float64Array) -> npt.NDArray[np.bool_]:
    count = max(1, round(HOTTEST * rows.shape[-1]))
    least = np.partition(rows, -count, axis=-1)[..., -count]
    return np.asarray((rows >= least[..., None]) & (rows > 0))
