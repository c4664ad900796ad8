import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from attnwatch.analysis.notation import with_power
from attnwatch.render.boxes import Box
from attnwatch.render.pages.canvas import Canvas
from attnwatch.render.pages.colour_bar import draw_bar
from attnwatch.render.pages.lines import TextStyle
from tests.unit.attnwatch.render.pages.drawn import LABELS, bar, luma

ENDS = st.floats(-1e6, 1e6, width=32)


def test_values_beside_the_bar_are_round():
    assert [text for _, text in bar(0, 0.0123).ticks(6)] == ["0.0000", "0.0025", "0.0050", "0.0075", "0.0100"]
    assert [text for _, text in bar(0.1, 0.52).ticks(5)] == ["0.2", "0.4"]


@given(ENDS, ENDS, st.integers(2, 7))
def test_values_are_on_the_scale_and_at_their_places(one, other, most):
    low, high = sorted((one, other))
    assume(high - low > 1e-4 * max(abs(low), abs(high)))
    shown = bar(low, high)
    ticks = shown.ticks(most)
    unit = 10.0 ** (math.floor(math.log10(max(abs(low), abs(high)))) if shown.unit else 0)
    assert 1 < len(ticks) <= most + 1
    assert len({text for _, text in ticks}) == len(ticks)
    for share, text in ticks:
        rounding = 0.5 * 10.0 ** -len(text.partition(".")[2])
        assert -1e-9 <= share <= 1 + 1e-9
        value = float(text.replace("−", "-"))
        assert value * unit == pytest.approx(low + share * (high - low), abs=1.001 * rounding * unit)


@pytest.mark.parametrize(
    ("high", "unit", "text"),
    [
        (0.5, "", "0.500"),
        (0.0123, "", "0.0123"),
        (0.00123, "× 10⁻³", "1.23"),
        (4.2e-7, "× 10⁻⁷", "4.20"),
        (3e5, "× 10⁵", "3.00"),
    ],
)
def test_very_small_and_very_large_values_have_a_power_of_ten(high, unit, text):
    shown = bar(0, high)
    assert (shown.unit, shown.end_texts) == (unit, ("0", text))
    assert shown.label(TextStyle(12), 1000) == with_power("attention probability", shown.power) + ", 0–80 % opaque"


def test_ends_that_stand_alone_are_whole_numbers():
    assert bar(0.00016, 0.004).end_numbers == ("0.16 × 10⁻³", "4.00 × 10⁻³")
    assert bar(0, 0.004).end_numbers == ("0", "4.00 × 10⁻³")
    assert bar(0.1, 0.5).end_numbers == ("0.100", "0.500")


def test_the_ends_have_as_many_digits_as_tell_them_apart():
    assert bar(0.12341, 0.12349).end_texts == ("0.1234", "0.1235")


def test_a_scale_without_contrast_has_one_value():
    assert bar(0.25, 0.25).ticks(5) == [(0.5, "0.250")]
    assert bar(0, 0).ticks(5) == [(0.5, "0")]


def test_the_longest_label_that_fits_is_taken_and_the_unit_stays():
    style, shown = TextStyle(12), bar(0, 0.00123)
    for label in LABELS:
        whole = label.text(-3)
        assert shown.label(style, style.width(whole)) == whole
    assert shown.label(style, style.width("× 10⁻³")) == "× 10⁻³"
    assert shown.label(style, 5) == ""


@pytest.mark.parametrize("upwards", [True, False])
def test_attention_rises_upwards_or_to_the_right_whichever_end_comes_first(upwards):
    for ends in ((0, 1), (1, 0)):
        canvas, box = Canvas(100, 100), Box(10, 20, 40, 60)
        place, picture = draw_bar(canvas, box, bar(*ends), TextStyle(12), upwards=upwards)
        values = luma(picture)[::-1, 0] if upwards else luma(picture)[0]
        assert place == box
        assert (np.diff(values) >= 0).all()
        assert np.ptp(values) > 200
