from fractions import Fraction

import numpy as np
import pytest

from attnwatch.render.pages.caption import Full, caption_height, caption_page
from attnwatch.render.pages.counter import seconds_form
from tests.unit.attnwatch.render.pages.drawn import TITLES, bar, composed, faults, flat, luma, title

SIZES = ((832, 480), (480, 832), (1280, 720), (64, 64), (3840, 2160), (16, 16), (2, 2))
SQUARE = Fraction(1)


def page(size=(832, 480), text="“kiss” in “two men kissing”", par=SQUARE, **full):
    return caption_page(size, par, "“kiss”", Full(text, **{"bar": bar(), "form": seconds_form(5.0), **full}))


@pytest.mark.parametrize("size", SIZES)
def test_no_text_is_cut_or_covers_anything_whatever_the_prompt(size):
    for text in TITLES if max(size) < 2000 else TITLES[1::3]:
        assert faults(page(size, text)) == []
    assert faults(caption_page(size, SQUARE, "“" + "kiss" * 40 + "”")) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("full", [True, False])
def test_the_band_is_slim_and_of_even_height_whatever_it_says(size, full):
    height = caption_height(size, SQUARE, full=full)
    assert height % 2 == 0
    assert height <= max(0.25 * size[1], 20)
    texts = TITLES[:2] if full else ["“a”", "“b”"]
    for text in texts:
        drawn = page(size, text) if full else caption_page(size, SQUARE, text)
        assert drawn.size == (size[0], size[1] + height)


def test_pictures_stay_as_they_are_above_the_band():
    drawn = page()
    (box,) = drawn.boxes
    assert (box.left, box.top, box.size) == (0, 0, (832, 480))
    assert (luma(drawn.compose([flat(box, 77)], seconds=1))[:480] == 77).all()


def test_a_full_caption_says_word_prompt_ends_of_the_scale_and_seconds():
    drawn = page()
    assert {text for text, _ in drawn.texts} == {
        "“kiss” in “two men kissing”",
        "0",
        "0.0123",
        "attention probability, 0–80 % opaque",
        "s",
    }
    assert len(drawn.drawn) == 1
    ((number, _),) = drawn.counter.cells
    assert number.name == "seconds"


def test_portraits_have_two_lines_for_the_prompt():
    lines = [text for text, _ in page((480, 832), title(600)).texts if "men" in text or "umbrella" in text]
    assert len(lines) == 2
    assert lines[1].endswith("…”")


def test_where_there_is_no_room_only_the_word_is_left():
    drawn = page((64, 64), title(150))
    assert [text for text, _ in drawn.texts] == ["“kiss”"]
    assert drawn.counter is None
    assert caption_height((64, 64), SQUARE, full=True) == caption_height((64, 64), SQUARE, full=False)


def test_a_still_picture_has_no_counter_and_a_bar_can_be_left_out():
    drawn = page(form=None, bar=None)
    assert drawn.counter is None
    assert drawn.drawn == ()


def test_only_the_digits_change():
    drawn = page()
    before, after = composed(drawn, seconds=1.25), composed(drawn, seconds=1.26)
    ((_, cells),) = drawn.counter.cells
    rows, columns = np.nonzero(before != after)
    assert len(rows)
    assert cells[-1].left <= columns.min()
    assert columns.max() < cells[-1].right


def test_letters_on_pixels_that_are_not_square_look_as_on_square_ones():
    square, wide = page((832, 480)), page((416, 480), par=Fraction(2))
    assert wide.size == (416, square.size[1])
    for (text, box), (other, narrow) in zip(square.texts, wide.texts, strict=True):
        assert (other, narrow.height, narrow.top) == (text, box.height, box.top)
        assert narrow.width == pytest.approx(box.width / 2, abs=2)
