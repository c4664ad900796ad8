import numpy as np
import pytest

from attnwatch.analysis.notation import power_of, with_power
from attnwatch.render.plots.content import Bar
from attnwatch.render.plots.ticks import ticks


def bar(low, high, **fields):
    return Bar(np.zeros((4, 1, 3), np.uint8), low, high, "attention probability", (0, 0), (0, 0), **fields)


@pytest.mark.parametrize(
    ("low", "high", "label", "numbers"),
    [
        (0, 0.5, "attention probability", ("0.0", "0.1", "0.2", "0.3", "0.4", "0.5")),
        (0.004, 0.021, "attention probability", ("0.005", "0.010", "0.015", "0.020")),
        (0.0007, 0.0053, "attention probability (10⁻³)", ("1", "2", "3", "4", "5")),
        (0, 3.3e-12, "attention probability (10⁻¹²)", ("0", "1", "2", "3")),
        (-2, 2, "attention probability", ("−2", "−1", "0", "1", "2")),
        (0.02, 0.02, "attention probability", ("0.02",)),
        (0, 0, "attention probability", ("0",)),
    ],
)
def test_numbers_are_round_and_written_alike_and_small_ones_share_a_power_of_ten(low, high, label, numbers):
    power = power_of(low, high)
    assert with_power("attention probability", power) == label
    assert ticks(bar(low, high), power, 6).labels == numbers


@pytest.mark.parametrize(("low", "high"), [(0.0011, 0.0039), (0.51, 0.59), (0.123, 0.124), (1e-30, 2e-30)])
def test_a_short_bar_has_two_numbers_within_its_ends(low, high):
    found = ticks(bar(low, high), power_of(low, high), 2)
    assert len(found.places) == len(set(found.labels)) == 2
    assert low <= found.places[0] < found.places[1] <= high


def test_a_bar_of_maps_with_ends_of_their_own_has_no_numbers():
    assert ticks(bar(0.1, 0.2, is_relative=True), 0, 5).labels == ("lowest", "highest")
