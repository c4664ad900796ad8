import math

import numpy as np
import pytest

from attnwatch.analysis.extras import extra
from attnwatch.analysis.spatial import spatial
from attnwatch.analysis.statistics import Difference, holm, mean_interval, paired, pairs_needed, smallest_p, unpaired
from attnwatch.errors import ConfigError
from tests.unit.attnwatch.analysis.test_spatial import gaussian

stats = pytest.importorskip("scipy.stats", reason="scipy is not installed: pip install 'attnwatch[measure]'")


def covered(n: int, simulations: int, *, skewed: bool = False, samples: int = 1) -> float:
    """Return the share of simulated comparisons whose interval contains the true difference, 1."""
    random, hits = np.random.default_rng(n), 0
    for _ in range(simulations):
        values = random.exponential(1, n) if skewed else random.normal(1, 1, n)
        low, high = mean_interval(values, *random.normal(0, 1, (samples - 1, n)))
        hits += low <= 1 <= high
    return hits / simulations


@pytest.mark.slow
@pytest.mark.parametrize("n", [8, 12, 20, 40])
def test_intervals_contain_the_true_difference_in_95_percent_of_comparisons(n: int) -> None:
    assert 0.93 <= covered(n, 1000) <= 0.97
    assert 0.93 <= covered(n, 1000, samples=2) <= 0.97
    assert 0.91 <= covered(n, 1000, skewed=True) <= 0.97  # an exponential distribution: 91 % with 8 pairs


def test_intervals_are_neither_too_narrow_nor_too_wide() -> None:
    assert 0.9 <= covered(20, 150) <= 0.99


def test_p_values_are_uniform_where_the_choice_makes_no_difference() -> None:
    """Of 200 simulated batches: the same prompt twice, other seeds; each measure of a map with a random spot."""
    random = np.random.default_rng(1)
    p_values = []
    for _ in range(200):
        places, sigmas = random.uniform(0.3, 0.7, (2, 12)), random.uniform(0.03, 0.1, (2, 12))
        maps = np.stack([gaussian(x, 0.5, sigma) for x, sigma in zip(places.ravel(), sigmas.ravel(), strict=True)])
        area = spatial(maps).effective_area.reshape(2, 12)
        p_values.append(paired(area[0], area[1]).p)

    assert stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.slow
def test_after_correction_hardly_any_experiment_without_an_effect_finds_one() -> None:
    random, false = np.random.default_rng(2), 0
    for _ in range(300):
        first, second = random.normal(0, 1, (2, 6, 10))
        false += min(holm([paired(a, b).p for a, b in zip(first, second, strict=True)])) <= 0.05

    assert false / 300 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


def test_the_p_value_of_few_pairs_is_exact() -> None:
    assert paired(np.zeros(6), np.arange(1.0, 7)).p == pytest.approx(2 / 2**6)


def test_a_difference_is_second_minus_first_with_its_effect_and_interval() -> None:
    first, second = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([2.0, 4.0, 4.0, 6.0, 7.0])

    found = paired(first, second)

    differences = second - first
    assert found.mean == pytest.approx(differences.mean())
    assert found.effect == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert found.low < found.mean < found.high
    assert found.counts == (5, 5)
    assert paired(second, first).mean == -found.mean


def test_unpaired_values_are_compared_by_their_means() -> None:
    random = np.random.default_rng(3)
    first, second = random.normal(0, 1, 9), random.normal(3, 1, 12)

    found = unpaired(first, second)

    freedom = 9 + 12 - 2
    pooled = math.sqrt((8 * first.var(ddof=1) + 11 * second.var(ddof=1)) / freedom)
    assert found.counts == (9, 12)
    assert found.mean == pytest.approx(second.mean() - first.mean())
    assert found.effect == pytest.approx(found.mean / pooled * (1 - 3 / (4 * freedom - 1)))
    assert found.p < 0.001
    assert found.low < found.mean < found.high


def test_three_unpaired_values_have_no_effect_size_because_its_correction_would_make_it_0() -> None:
    found = unpaired(np.array([1.0, 2.0]), np.array([5.0]))
    assert found.mean == 3.5
    assert math.isnan(found.effect)
    assert unpaired(np.array([1.0, 2.0]), np.array([5.0, 6.0])).effect > 1


def test_the_same_values_give_the_same_results() -> None:
    first, second = np.random.default_rng(4).normal(0, 1, (2, 30))

    assert paired(first, second) == paired(first, second)


@pytest.mark.parametrize("compare", [paired, unpaired])
def test_values_without_variation_have_a_difference_and_no_effect_size(compare: object) -> None:
    first, second = np.full(5, 0.1), np.full(5, 0.3)

    found = compare(first, second)  # type: ignore[operator]

    assert isinstance(found, Difference)
    assert found.mean == pytest.approx(0.2)
    assert (found.low, found.high) == (found.mean, found.mean)
    assert math.isnan(found.effect)


def test_two_pairs_are_too_few_for_an_interval() -> None:
    found = paired(np.array([0.0, 1.0]), np.array([1.0, 3.0]))

    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.p == 0.5


def test_holm_corrects_by_rank_and_never_reverses_the_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_holm_leaves_out_what_could_not_be_tested() -> None:
    corrected = holm([0.01, float("nan"), 0.02])

    assert corrected[0] == pytest.approx(0.02)
    assert math.isnan(corrected[1])
    assert corrected[2] == pytest.approx(0.02)


@pytest.mark.parametrize("effect", [0.4, 0.8, -1.2])
def test_the_number_of_pairs_is_the_first_that_shows_the_effect_in_four_of_five_experiments(effect: float) -> None:
    needed = pairs_needed(effect, tests=1)

    assert needed is not None
    power = {n: shown(effect, n, experiments=4000) for n in (needed - 3, needed + 2)}
    assert power[needed - 3] < 0.8 < power[needed + 2]


def shown(effect: float, pairs: int, experiments: int) -> float:
    """Return the share of simulated experiments in which a t-test shows the effect at the level of 5 %."""
    values = np.random.default_rng(5).normal(effect, 1, (experiments, pairs))
    return float((stats.ttest_1samp(values, 0, axis=1).pvalue <= 0.05).mean())


def test_a_huge_effect_still_needs_as_many_pairs_as_the_test_can_answer_with() -> None:
    assert pairs_needed(50.0, tests=1) == 6  # 2 / 2^6 is below 0.05, 2 / 2^5 is not
    assert pairs_needed(50.0, tests=6) == 8


def test_a_tiny_effect_needs_more_pairs_than_anybody_makes() -> None:
    assert pairs_needed(0.001, tests=1) is None


@pytest.mark.parametrize(("others", "p"), [([1.0, 2.0, 3.0], 0.25), ([9.0, 11.0, 12.0], 0.5), ([5.0], 1.0)])
def test_a_single_value_is_compared_with_others_by_all_ways_to_choose_one(others: list[float], p: float) -> None:
    """Exact: the share of the values that are at least as far from the mean of the rest as the single one."""
    assert unpaired(np.array(others), np.array([8.0])).p == p


def test_a_single_pair_shows_nothing() -> None:
    found = paired(np.array([1.0]), np.array([3.0]))
    assert (found.mean, found.p) == (2.0, 1.0)
    assert math.isnan(found.effect)
    assert math.isnan(found.low)


def test_the_smallest_p_is_that_of_the_largest_difference() -> None:
    far, near = np.arange(100, 106.0), np.arange(6.0)
    assert smallest_p((6, 6), is_paired=True) == paired(near, far + near).p
    assert smallest_p((6, 5), is_paired=False) == pytest.approx(unpaired(near, far[:5]).p)


def test_a_missing_library_is_named_with_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"found no not_there; .*pip install 'attnwatch\[measure\]'"):
        extra("not_there.part")
