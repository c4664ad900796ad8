"""Statistics of a difference between two choices: how large it is, how certain, and how many seeds would show it.

Measures are neither normal nor many, so nothing here assumes a distribution, except the number of further seeds, which
is an estimate. Random numbers are seeded: the same values give the same results.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np

from attnwatch.analysis.extras import extra
from attnwatch.analysis.spatial import Float64Array

CONFIDENCE = 0.95
"""Share of intervals that contain the true difference."""

LEVEL = 0.05
"""Level at which a corrected p counts as evidence of a difference."""

_POWER = 0.8
_RESAMPLES = 9_999
_SEED = 0
_FEWEST = 3  # values from which an interval can be estimated
_MOST_SEEDS = 10_000
_ROUNDING = 1e-12  # relative; what differs less counts as equal


@dataclass(frozen=True)
class Difference:
    """A difference between the means of two choices, second minus first.

    Attributes:
        counts: number of values of each choice; equal if they are paired.
        mean: mean difference.
        low: lower end of its 95 % interval; NaN with fewer than 3 values of a choice.
        high: the upper end.
        effect: the difference in standard deviations; NaN if there are none: paired, of the differences (Cohen's d_z);
            unpaired, of both choices together, corrected for small numbers (Hedges' g), which takes at least 4 values:
            of 3, the correction makes 0 of any difference.
        p: probability of a difference at least as large if the choice made none.

    """

    counts: tuple[int, int]
    mean: float
    low: float
    high: float
    effect: float
    p: float


def paired(first: Float64Array, second: Float64Array) -> Difference:
    """Compare values that belong together one by one, such as two choices with the same seed.

    The interval is a studentised bootstrap (bootstrap-t; Hall, Ann. Statist. 16, 1988, 927-953): with 8 to 20 pairs,
    BCa intervals contain the true mean in 84 to 93 % of simulated comparisons, these in 93 to 96 %. The p-value is that
    of a sign-flip permutation test, exact with up to 13 pairs, else with 9,999 random flips.

    Args:
        first: values of the first choice, `[pair]`, at least one.
        second: values of the second one, in the same order.

    """
    differences = second - first
    mean = float(differences.mean())
    low, high = mean_interval(differences)
    deviation = _deviation(differences)
    effect = mean / deviation if deviation > 0 else float("nan")
    return Difference((len(first), len(second)), mean, low, high, effect, _permuted((differences,), "samples"))


def unpaired(first: Float64Array, second: Float64Array) -> Difference:
    """Compare values that do not belong together one by one.

    The interval is a studentised bootstrap, the p-value that of a permutation test: exact with up to 9,999 ways to
    divide the values between the two choices, else with as many random ones.

    Args:
        first: values of the first choice, at least one.
        second: values of the second one.

    """
    mean = float(second.mean() - first.mean())
    low, high = mean_interval(second, first)
    freedom = len(first) + len(second) - 2
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in (first, second))
    correction = 1 - 3 / (4 * freedom - 1)
    effect = mean / np.sqrt(squares / freedom) * correction if freedom > 1 and squares > 0 else float("nan")
    return Difference(
        (len(first), len(second)), mean, low, high, float(effect), _permuted((second, first), "independent")
    )


def mean_interval(*samples: Float64Array) -> tuple[float, float]:
    """Return the studentised bootstrap interval of the mean of a sample, or of the first's minus that of the second.

    NaN if a sample has fewer than 3 values.
    """
    if min(map(len, samples)) < _FEWEST:
        return float("nan"), float("nan")
    random = np.random.default_rng(_SEED)
    mean = float(samples[0].mean() - sum(values.mean() for values in samples[1:]))
    error = _standard_error([_deviation(values) for values in samples], samples)
    if error == 0:
        return mean, mean
    resampled = [values[random.integers(0, len(values), (_RESAMPLES, len(values)))] for values in samples]
    means = resampled[0].mean(axis=1) - sum(values.mean(axis=1) for values in resampled[1:])
    errors = _standard_error([values.std(axis=1, ddof=1) for values in resampled], samples)
    varied = errors > error * 1e-9  # a resample of equal values has no error to divide by
    low, high = np.quantile((means[varied] - mean) / errors[varied], [(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2])
    return float(mean - low * error), float(mean - high * error)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for being several (Holm, Scand. J. Stat. 6, 1979, 65-70), in their order; NaN stays NaN."""
    p = np.asarray(p_values, dtype=np.float64)
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN comes last
    remaining = len(order) - np.arange(len(order))
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * remaining))
    return corrected.tolist()


def smallest_p(counts: tuple[int, int], *, is_paired: bool) -> float:
    """Return the smallest p-value of a permutation test: that of the largest difference of so many values."""
    ways = 2.0 ** counts[0] if is_paired else float(comb(sum(counts), counts[0]))
    return min(1.0, 2 / min(ways, _RESAMPLES + 1))


def pairs_needed(effect: float, tests: int) -> int | None:
    """Return how many pairs would show a difference of this size in four of five experiments; None beyond 10,000.

    Estimated for a paired t-test at the level of the strictest of Holm's corrections. It is never less than what the
    sign-flip test needs to reach that level at all.

    Args:
        effect: difference in standard deviations of the differences, not 0.
        tests: number of p-values that are corrected together.

    """
    stats, level = extra("scipy.stats"), LEVEL / tests
    fewest = int(np.ceil(np.log2(2 / level)))
    # The power grows with the number of pairs, so the first number that suffices is found by bisection.
    low, high = max(2, fewest) - 1, _MOST_SEEDS
    if _power(stats, effect, high, level) < _POWER:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(stats, effect, middle, level) >= _POWER else (middle, high)
    return high


def _power(stats: Any, effect: float, pairs: int, level: float) -> float:  # noqa: ANN401 - the module
    freedom, shift = pairs - 1, abs(effect) * np.sqrt(pairs)
    return float(stats.nct.sf(stats.t.ppf(1 - level / 2, freedom), freedom, shift))


def _permuted(samples: tuple[Float64Array, ...], kind: str) -> float:
    def mean_difference(*values: Float64Array, axis: int = -1) -> Float64Array:
        first, *rest = (value.mean(axis=axis) for value in values)
        return np.asarray(first - sum(rest))

    if min(map(len, samples)) == 1:  # refused by scipy
        return _permuted_single(samples)
    test = extra("scipy.stats").permutation_test
    result = test(samples, mean_difference, permutation_type=kind, n_resamples=_RESAMPLES, rng=_SEED, vectorized=True)
    return float(result.pvalue)


def _permuted_single(samples: tuple[Float64Array, ...]) -> float:
    """Return the p-value of a test in which one sample has a single value: of a pair, or one value against others."""
    if len(samples) == 1:
        return 1.0
    values = np.concatenate(sorted(samples, key=len))
    distances = np.abs(values - (values.sum() - values) / (len(values) - 1))
    return float((distances >= distances[0] * (1 - _ROUNDING)).mean())


def _standard_error(deviations: Sequence[Any], samples: Sequence[Float64Array]) -> Any:  # noqa: ANN401 - one or many
    return np.sqrt(sum(one**2 / len(values) for one, values in zip(deviations, samples, strict=True)))


def _deviation(values: Float64Array) -> float:
    """Return the standard deviation of a sample; 0 if all values are the same except for rounding."""
    if len(values) < 2:  # noqa: PLR2004 - one value has none
        return 0.0
    deviation = float(values.std(ddof=1))
    return deviation if deviation > np.abs(values).max() * _ROUNDING else 0.0
