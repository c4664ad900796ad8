from fractions import Fraction

import pytest

from attnwatch.render.pages.evolution import evolution_page
from tests.unit.attnwatch.render.pages.drawn import TITLES, bar, composed, faults, title

SQUARE = Fraction(1)
LABELS = ("frame 41", ["1", "21", "41", "61", "81"])


def page(size=(832, 480), text="“kiss”, while denoising", par=SQUARE):
    return evolution_page(size, par, text, LABELS, last=50, bar=bar())


@pytest.mark.parametrize("size", [(832, 480), (480, 832), (64, 48), (48, 48), (832, 64), (48, 600)])
def test_no_text_is_cut_or_covers_anything_whatever_the_prompt(size):
    for text in TITLES:
        assert faults(page(size, text)) == []
    for par in (Fraction(1, 100), Fraction(100)):
        assert faults(page(size, TITLES[1], par)) == []


def test_a_large_picture_is_above_five_small_ones_of_the_same_shape():
    large, *small = page().boxes
    assert large.size == (832, 480)
    assert len({(box.top, box.size) for box in small}) == 1
    assert small[0].top > large.bottom
    assert (small[0].left, small[-1].right) == (large.left, pytest.approx(large.right, abs=10))
    assert small[0].width / small[0].height == pytest.approx(832 / 480, rel=0.05)


def test_pictures_and_the_counter_are_labelled():
    drawn = page()
    assert {text for text, _ in drawn.texts} >= {"frame 41", "1", "21", "41", "61", "81", "step", "/ 50"}
    assert (composed(drawn, step=3) != composed(drawn, step=4)).any()


def test_labels_that_would_overlap_are_left_out():
    texts = [text for text, _ in page((64, 48), title(20)).texts]
    assert "1" in texts


def test_letters_on_pixels_that_are_not_square_are_squeezed():
    (_, square), *_ = page().texts
    (_, wide), *_ = page((416, 480), par=Fraction(2)).texts
    assert (wide.height, wide.width) == (square.height, pytest.approx(square.width / 2, abs=2))
