import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from attnwatch.render.colours import Colours
from attnwatch.render.combined.hues import HUES, hues_rgb
from attnwatch.render.combined.legend import Legend
from attnwatch.render.compose import pixels

COLOURS = Colours.of_matrix(Colorspace.ITU601)
WORDS = ["man", "bicycle", "a $ sign", "traffic light", "grüße", "kiss"]


def grey(size):
    frame = av.VideoFrame(*size, "yuv420p")
    for plane, level in zip(frame.planes, (150, 128, 128), strict=True):
        pixels(plane)[:] = level
    frame.colorspace = Colorspace.ITU601
    return frame


def drawn(texts, size):
    """Return the picture with the legend, `[height, width, 3]`, and which of its pixels changed."""
    frame = grey(size)
    Legend(texts, size, COLOURS).paste(frame)
    changed = pixels(frame.planes[0]) != 150
    return frame.to_ndarray(format="rgb24"), changed


@pytest.mark.parametrize("size", [(832, 480), (480, 832), (176, 144)])
@pytest.mark.parametrize("words", [2, 6])
def test_it_shows_every_hue_and_word_and_hides_little(size, words):
    rgb, changed = drawn(WORDS[:words], size)
    rows, columns = np.nonzero(changed)
    assert rows.min() > size[1] * 0.68
    assert columns.min() > 0
    assert changed.mean() < (0.06 if min(size) > 400 else 0.25)
    for hue in hues_rgb(words) * 255:
        assert (np.abs(rgb - hue).max(axis=-1) < 12).sum() > 30
    white = (rgb.min(axis=-1) > 200).sum()
    assert white > 8 * words


def test_a_strip_for_two_words_at_832x480_is_one_line_of_25_pixels():
    _, changed = drawn(WORDS[:2], (832, 480))
    rows, columns = np.nonzero(changed)
    assert np.ptp(rows) < 32
    assert np.ptp(columns) < 250


def test_long_words_are_shortened_instead_of_reaching_beyond_the_picture():
    _, changed = drawn(["a phrase that goes on and on " * 5] * 6, (320, 180))
    rows, columns = np.nonzero(changed)
    assert columns.max() < 320 - 3
    assert rows.min() >= 180 * 0.68


def test_a_small_picture_has_smaller_letters_rather_than_none():
    rgb, changed = drawn(["red", "square"], (80, 80))
    assert 0.05 < changed.mean() < 0.3
    assert (rgb.min(axis=-1) > 200).sum() > 10


@pytest.mark.parametrize("size", [(64, 48), (2, 2), (832, 16), (24, 480)])
def test_pictures_that_are_too_small_have_none(size):
    assert not Legend(WORDS[:6], size, COLOURS).is_drawn
    _, changed = drawn(WORDS, size)
    assert not changed.any()


def test_the_order_of_the_words_is_that_of_the_hues():
    rgb, _ = drawn(WORDS, (832, 480))
    lefts = [
        np.nonzero((np.abs(rgb - hue * 255).max(axis=-1) < 12).any(axis=0))[0].min() for hue in hues_rgb(len(HUES))
    ]
    assert lefts == sorted(lefts)


def test_there_is_no_legend_of_ellipses_alone():
    for width in range(40, 90):
        (one, changed), (other, _) = (drawn([word], (width, 46)) for word in ("kiss", "lips"))
        assert not changed.any() or not np.array_equal(one, other)
