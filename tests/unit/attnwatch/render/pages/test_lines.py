import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnwatch.render.pages.lines import TextStyle

SIZES = (9, 10.5, 14.4, 24, 70)


@pytest.mark.parametrize("size", SIZES)
def test_letters_stand_on_the_baseline_and_reach_below_it(size):
    style = TextStyle(size)
    for text in ("H", "x", "H.", "0"):
        line = style.line(text)
        assert abs(line.above - len(line.mask)) <= size // 50
    line = style.line("Hg")
    assert line.above == style.line("H").above
    assert line.above < len(line.mask) <= style.height(1)


def test_all_digits_are_equally_wide():
    for size in SIZES:
        assert len({TextStyle(size).line(digit).advance for digit in "0123456789"}) == 1


def test_squeezed_letters_are_as_high_and_less_wide():
    wide, narrow = (TextStyle(24, squeeze).line("frame 12").mask.astype(float) for squeeze in (1.0, 0.5))
    assert len(wide) == len(narrow)
    assert narrow.shape[1] == pytest.approx(wide.shape[1] / 2, abs=1)
    assert narrow.sum() == pytest.approx(wide.sum() / 2, rel=0.02)


def test_blanks_have_no_ink():
    assert TextStyle(12).line("   ").mask.size == 0
    assert TextStyle(12).line("").mask.size == 0


@pytest.mark.parametrize("size", [12, 17, 24])
@pytest.mark.parametrize("text", ["“men”", "“kiss”", "hello world", "wwwww"])
def test_a_line_has_room_in_the_width_that_it_takes(text, size):
    style = TextStyle(size)
    assert style.fitted(text, style.width(text), 1) == [text]
    assert style.fitted(text, style.width(text) - 2, 1) != [text]


def test_characters_that_no_font_has_are_drawn_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.any(TextStyle(12).line("\U000e0fff!").mask)


@given(
    text=st.text(st.sampled_from("kiss 吻 接, WWW"), max_size=60),
    width=st.integers(1, 300),
    most=st.integers(1, 4),
    squeeze=st.sampled_from([0.5, 1.0]),
)
def test_fitted_lines_are_never_too_wide_nor_too_many(text, width, most, squeeze):
    style = TextStyle(13, squeeze)
    lines = style.fitted(text, width, most)
    assert len(lines) <= most
    assert all(style.width(line) <= width for line in lines)
