"""Measures over the denoising steps: when a word's map takes its final form."""

from collections.abc import Sequence

import numpy as np

from attnwatch.analysis.spatial import Float64Array, Maps, inner, without_nan

SETTLED = 0.9
"""Correlation with the final map from which on a map counts as settled."""


class FinalForm:
    """The map of the last step, with which those of all steps are compared.

    Args:
        final: its map, `[frame, height, width]`; all frames together count as one map.

    """

    def __init__(self, final: Maps) -> None:
        self._final, self._scratch = _centred(final, np.empty(final.size)), np.empty(final.size)
        self._norm = float(inner(self._final, self._final)) ** 0.5

    def correlation(self, maps: Maps) -> float:
        """Return Pearson's correlation of another step's map with the final one, -1..1.

        NaN if one of the two is the same everywhere, because such a map has no correlation.
        """
        one = _centred(maps, self._scratch)
        norms = float(inner(one, one)) ** 0.5 * self._norm
        return max(-1.0, min(1.0, float(inner(one, self._final)) / norms)) if norms else float("nan")


def settled_from(correlations: Sequence[float]) -> int | None:
    """Return the position of the first step from which on all maps correlate at least `SETTLED` with the last.

    None if not even the last one has a correlation.
    """
    settled = len(correlations)
    while settled and correlations[settled - 1] >= SETTLED:
        settled -= 1
    return settled if settled < len(correlations) else None


def _centred(maps: Maps, values: Float64Array) -> Float64Array:
    """Return the values of maps in the given row, with a mean of 0; all 0 if they are the same."""
    values[:] = without_nan(maps).ravel()
    values -= values[0]  # without it, the mean of values that are the same may differ from them by rounding
    values -= values.mean()
    return values
