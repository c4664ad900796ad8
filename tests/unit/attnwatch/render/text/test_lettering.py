"""Drawn text lies where it was measured."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from attnwatch.render.text.fitting import fit
from attnwatch.render.text.lettering import Lettering
from attnwatch.render.text.measuring import Font
from tests.unit.attnwatch.render.text.samples import SAMPLES, sample

FONT = Font(8)
LEFT, TOP = 30, 20  # of the text in the figure, in pixels


def drawn(lettering, **how):
    """Return the left, top, right and lower end of the ink of a text, in pixels from its own box."""
    figure = Figure((4, 2), dpi=100, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    lettering.draw(figure, LEFT, TOP, **how)
    canvas.draw()
    rows, columns = np.nonzero(np.asarray(canvas.buffer_rgba())[..., 0] < 230)
    return columns.min() - LEFT, rows.min() - TOP, columns.max() + 1 - LEFT, rows.max() + 1 - TOP


@pytest.mark.parametrize("name", SAMPLES)
def test_the_ink_of_a_text_lies_within_its_box_and_fills_it(name):
    lettering = fit(sample(name), FONT, width=150, height=80)
    left, top, right, bottom = drawn(lettering)
    assert left >= 0
    assert top >= 0
    assert right <= lettering.width <= 150
    assert bottom <= lettering.height <= 80
    assert right - left > lettering.width - 10
    assert bottom - top > lettering.height - 10


def test_lines_stand_where_they_are_asked_to():
    lettering = fit("a cat", FONT)
    spare = 100 - lettering.width
    left, right = drawn(lettering, width=100)[0], drawn(lettering, width=100, align="right")[0]
    middle = drawn(lettering, width=100, align="center")[0]
    assert abs(right - left - spare) <= 1
    assert abs(middle - left - spare / 2) <= 1


def test_a_text_that_is_read_from_the_right_starts_there():
    lettering = fit("قطة", FONT)
    assert lettering.right_to_left
    assert drawn(lettering, width=100)[2] in {98, 99, 100}
    assert drawn(lettering, width=100, align="left")[2] <= lettering.width


def test_ink_is_the_picture_of_the_letters():
    lettering = fit("a black cat", FONT)
    ink = lettering.ink()
    assert ink.shape == (lettering.height, lettering.width)
    assert ink.dtype == np.float32
    assert ink.min() == 0
    assert ink.max() > 0.9


def test_no_lines_have_no_size_and_no_ink():
    empty = Lettering((), FONT, ("DejaVu Sans",))
    assert (empty.width, empty.height, empty.ink().shape) == (0, 0, (0, 0))
    assert empty.draw(Figure(), 0, 0) == []


def test_matplotlib_places_a_text_as_it_was_measured():
    lettering = fit("a $1 cat, or $2", FONT)
    figure = Figure((4, 2), dpi=100)
    FigureCanvasAgg(figure)
    title = figure.suptitle(lettering.text, **lettering.style)
    assert title.get_text() == "a $1 cat, or $2"
    assert abs(title.get_window_extent().width - lettering.width) < 4


def test_lines_of_one_script_are_as_far_apart_whatever_their_letters_are():
    assert fit("ace", FONT).pitch == fit("Åjgq(|)", FONT).pitch
