import numpy as np
import pytest
from matplotlib.text import Text

from attnwatch.analysis.matrices import Matrices, Matrix
from attnwatch.render.charts.matrices import matrices_chart


def names(count):
    return tuple(map(str, range(count)))


def focus(layers, heads, words=1):
    values = np.linspace(0.1, 0.5, layers * heads).reshape(layers, heads)
    each = tuple(Matrix(f"'{number}'", names(layers), names(heads), values) for number in range(words))
    return Matrices("Focus of layers and heads", "focus", "layer", "head", each, "key")


def overlap(*words):
    values = np.full((len(words), len(words)), 0.25)
    np.fill_diagonal(values, np.nan)
    return Matrices("Overlap of words", "overlap", "", "", (Matrix("", words, words, values),), "key")


def test_every_word_has_a_map_and_all_have_one_scale():
    plot = matrices_chart(focus(2, 3, words=3))
    maps = [axes for axes in plot.axes if axes.get_xlabel() == "head"]
    assert [axes.get_title(loc="left") for axes in maps] == ["'0'", "'1'", "'2'"]
    assert {axes.images[0].get_clim() for axes in maps} == {(0.1, 0.5)}
    assert maps[0].get_ylabel() == "layer"


def test_numbers_of_many_layers_and_heads_are_thinned():
    axes = matrices_chart(focus(40, 24)).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(map(str, range(0, 40, 4)))
    assert [label.get_text() for label in axes.get_xticklabels()] == list(map(str, range(0, 24, 2)))


def test_overlaps_are_written_into_the_cells_except_of_a_word_with_itself():
    axes = matrices_chart(overlap("kiss", "dog", "cat")).axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.25"] * 6


@pytest.mark.parametrize("words", [("kiss", "dog"), ("a very long word", *(f"another long one {n}" for n in range(7)))])
def test_names_of_words_are_inside_the_chart_and_apart(words):
    plot = matrices_chart(overlap(*words))
    plot.canvas.draw()
    width, height = plot.get_size_inches() * plot.dpi
    boxes = [text.get_window_extent() for text in plot.findobj(Text) if text.get_text() and text.get_visible()]
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)
    inner = [box.padded(-0.5) for box in boxes]
    assert not any(one.overlaps(other) for index, one in enumerate(inner) for other in inner[:index])
