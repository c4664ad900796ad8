"""Numbers as they are written in pictures and sentences."""

from math import inf, nan

import pytest

from attnwatch.analysis.notation import number, power_of, ten_to, with_power


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
