import pytest

from attnwatch.render.charts.scale import Scale, named_difference


def test_numbers_are_round_and_inside_the_values_with_some_margin():
    scale = Scale.around([0.21, 0.39], 6)
    assert scale.labels == ("0.20", "0.25", "0.30", "0.35", "0.40")
    assert scale.low < 0.21
    assert scale.high > 0.39


def test_very_small_values_are_multiples_of_a_power_of_ten_which_the_label_tells():
    scale = Scale.around([0.00021, 0.00048], 6)
    assert scale.labels == ("2", "3", "4", "5")
    assert scale.named("mass (share of attention)") == "mass (share of attention, 10⁻⁴)"
    assert scale.named("difference") == "difference (10⁻⁴)"


@pytest.mark.parametrize(("values", "middle"), [([0.0], 0), ([0.3], 0.3), ([], 0), ([float("nan")], 0)])
def test_a_single_value_or_none_has_an_axis_around_it(values, middle):
    scale = Scale.around(values, 6)
    assert scale.low < middle < scale.high
    assert len(scale.labels) >= 2


def test_negative_numbers_have_a_proper_minus_sign():
    assert Scale.around([-1.0, 1.0], 4).labels == ("−1", "0", "1")


def test_of_two_long_names_both_are_cut_and_of_a_long_and_a_short_one_the_long_one():
    short, long = "two men", "a cat and a very big dog and a bird"
    assert named_difference(short, "two women", 1.5) == "two women − two men"
    assert named_difference(short, long, 1.5).endswith("… − two men")
    both = named_difference(long, long, 1.5).split(" − ")
    assert [name.endswith("…") for name in both] == [True, True]
