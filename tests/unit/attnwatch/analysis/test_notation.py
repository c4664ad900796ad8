"""Numbers as they are written in pictures and sentences."""

from itertools import pairwise
from math import inf, isclose, nan

import hypothesis.strategies as st
import pytest
from hypothesis import assume, given

from attnwatch.analysis.notation import number, power_of, round_numbers, ten_to, with_power


def test_numbers_have_a_proper_minus_sign_and_zero_has_none():
    assert [number(value, 1) for value in (1.25, -1.25, -0.04, 0)] == ["1.2", "−1.2", "0.0", "0.0"]


@pytest.mark.parametrize(
    ("values", "power"),
    [((0,), 0), ((0.01, 9999), 0), ((0.00999,), -3), ((-10_000, 2), 4), ((3.3e-12, 0), -12), ((inf,), 0), ((nan,), 0)],
)
def test_small_and_large_numbers_are_multiples_of_a_power_of_ten(values, power):
    assert power_of(*values) == power


def test_a_power_of_ten_follows_the_label_as_its_unit():
    assert ten_to(-12) == "10⁻¹²"
    assert ten_to(0) == ""
    assert with_power("attention probability", -3) == "attention probability (10⁻³)"
    assert with_power("mass (share of attention)", 4) == "mass (share of attention, 10⁴)"
    assert with_power("mass", 0) == "mass"


@pytest.mark.parametrize(
    ("low", "high", "most", "texts"),
    [
        (0, 0.5, 6, ("0.0", "0.1", "0.2", "0.3", "0.4", "0.5")),
        (0, 0.0123, 6, ("0.0000", "0.0025", "0.0050", "0.0075", "0.0100")),
        (-4, 4, 5, ("−4", "−2", "0", "2", "4")),
        (0.51, 0.59, 2, ()),
    ],
)
def test_round_numbers_are_written_with_as_many_decimals_as_they_need(low, high, most, texts):
    assert tuple(text for _, text in round_numbers(low, high, most)) == texts


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 12), st.integers(0, 3), st.sampled_from([-4, 0, 2]))
def test_round_numbers_lie_on_the_scale_equally_far_apart_and_no_two_are_written_alike(low, length, most, least, power):
    high = low + length
    assume(length > 1e-6 * abs(low))
    found = round_numbers(low, high, most, least=least, power=power)
    values = [value for value, _ in found]
    assert least <= len(found) <= max(most, least * 4)
    assert all(low - 1e-6 * length <= value <= high + 1e-6 * length for value in values)
    apart = [b - a for a, b in pairwise(values)]
    assert all(isclose(one, apart[0], rel_tol=1e-3) for one in apart)
    assert len({text for _, text in found}) == len(found)
