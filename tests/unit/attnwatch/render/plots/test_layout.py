"""Nothing in a figure overlaps, and nothing is cut off at its edge."""

from itertools import combinations

import numpy as np
import pytest

from attnwatch.render.boxes import Box
from attnwatch.render.plots.asked import Asked
from attnwatch.render.plots.content import Bar, Cell, Content
from attnwatch.render.plots.layout import laid_out
from attnwatch.render.plots.placed import UNITS_PER_INCH

PROMPT = "a group of cyclists rides down a street between old houses in the morning sun, seen from a balcony, " * 3
CHINESE = "一群骑自行车的人在清晨的阳光下沿着老房子之间的街道骑行，从二楼的阳台上看去，" * 3
TOLERANCE = 2  # units of 1/300 inch


def bar(rows, columns, low=0.0004, high=0.0037, **fields):
    return Bar(np.zeros((4, 1, 3), np.uint8), low, high, "attention probability", rows, columns, **fields)


def labelled(texts, per_row):
    cells = [Cell(np.zeros((2, 2, 3), np.uint8), text) for text in texts]
    return [cells[start : start + per_row] for start in range(0, len(cells), per_row)]


def moment(aspect, words, *, each=False, title=PROMPT):
    cells = labelled(["video", *words], 4)
    places = [(row, column) for row, line in enumerate(cells) for column in range(len(line))][1:]
    bars = [bar((0, len(cells) - 1), (int(len(cells) == 1), len(cells[0]) - 1))]
    if each:
        bars = [bar((row, row), (column, column), is_below=True) for row, column in places]
    return Content(title, "1.50 s · mean over the denoising steps", cells, bars, aspect)


def rows(aspect, labels, columns, *, each=False):
    cells, last = labelled([""] * (columns * len(labels)), columns), (0, columns - 1)
    bars = [bar((row, row), last) for row in range(1, len(labels))] if each else [bar((1, len(labels) - 1), last)]
    times = tuple(f"{0.62 * column:.2f} s" for column in range(columns))
    return Content(PROMPT, "mean over the denoising steps", cells, bars, aspect, times, labels)


def heads(aspect, down, across, **fields):
    cells = labelled([""] * (down * across), across)
    numbers = tuple(map(str, range(across))), tuple(map(str, range(down)))
    bars = [bar((0, down - 1), (0, across - 1), **fields)]
    return Content("a kiss", "“kiss” · 1.50 s · layer 3", cells, bars, aspect, *numbers, "head", "layer")


def layers(aspect, count, per_row):
    cells = labelled([f"layer {layer}" for layer in range(count)], per_row)
    return Content("a kiss", "“kiss” · 1.50 s", cells, [bar((0, len(cells) - 1), (0, per_row - 1))], aspect)


CONTENTS = {
    "one word": lambda aspect: moment(aspect, ["“kiss”"]),
    "three words": lambda aspect: moment(aspect, ["“kiss”", "“two men in love on a beach at night”", "“红色的自行车”"]),
    "three scales": lambda aspect: moment(aspect, ["“kiss”", "“men”", "“beach”"], each=True, title=CHINESE),
    "nine words": lambda aspect: moment(aspect, [f"“word {number}”" for number in range(9)]),
    "nine scales": lambda aspect: moment(aspect, [f"“word {number}”" for number in range(9)], each=True),
    "moments": lambda aspect: rows(aspect, ("video", "“kiss”", "“two men in love on a beach at night”"), 6),
    "many moments": lambda aspect: rows(aspect, ("video", "“kiss”"), 16),
    "steps": lambda aspect: rows(aspect, ("video", *(f"step {step}\nσ = 0.{step}" for step in range(10, 18))), 6),
    "steps with scales": lambda aspect: rows(aspect, ("video", "step 0\nt = 999.5", "step 1\nt = 42"), 4, each=True),
    "30 layers, 12 heads": lambda aspect: heads(aspect, 30, 12),
    "12 heads, 40 layers": lambda aspect: heads(aspect, 12, 40, is_relative=True),
    "2 layers, 2 heads": lambda aspect: heads(aspect, 2, 2),
    "layers": lambda aspect: layers(aspect, 31, 8),
}


def drawn(placed):
    """Return the part of its box that a text covers."""
    text, box = placed.text, placed.box
    width, height = (text.height, text.width) if placed.is_turned else (text.width, text.height)
    spare = {"start": 0, "left": 0, "center": (box.width - width) // 2, "right": box.width - width}[placed.align]
    down = (box.height - height) // 2 if placed.is_turned else 0
    return Box(box.left + (0 if placed.is_turned else spare), box.top + down, width, height)


def overlap(one, other):
    return (
        min(one.right, other.right) - max(one.left, other.left) > TOLERANCE
        and min(one.bottom, other.bottom) - max(one.top, other.top) > TOLERANCE
    )


@pytest.mark.parametrize("size", [3.3, 7])
@pytest.mark.parametrize("aspect", [832 / 480, 480 / 832, 1])
@pytest.mark.parametrize("content", CONTENTS)
def test_nothing_overlaps_and_nothing_is_cut_off(content, aspect, size):
    layout = laid_out(CONTENTS[content](aspect), Asked(size=size))
    texts = [(placed.text.text, drawn(placed)) for placed in layout.texts]
    others = [*((f"cell {n}", box) for n, (_, box) in enumerate(layout.cells)), *(("bar", b.box) for b in layout.bars)]
    assert [(a, b) for (a, one), (b, other) in combinations(texts, 2) if overlap(one, other)] == []
    assert [(a, b) for a, one in texts for b, other in others if overlap(one, other)] == []
    assert [(a, b) for (a, one), (b, other) in combinations(others, 2) if overlap(one, other)] == []
    page = Box(-TOLERANCE, -TOLERANCE, layout.width + 2 * TOLERANCE, layout.height + 2 * TOLERANCE)
    for name, box in [*texts, *others]:
        assert (box.left >= page.left, box.right <= page.right) == (True, True), name
        assert (box.top >= page.top, box.bottom <= page.bottom) == (True, True), name


@pytest.mark.parametrize("size", [3.3, 7])
def test_a_figure_is_as_wide_as_asked_unless_it_would_be_too_tall_for_a_page(size):
    wide, tall = (laid_out(heads(aspect, 8, 4), Asked(size=size)) for aspect in (832 / 480, 480 / 832))
    assert wide.width == round(size * UNITS_PER_INCH)
    assert tall.width < wide.width
    assert max(wide.height, tall.height) < 1.35 * size * UNITS_PER_INCH


def test_the_cells_have_the_shape_of_the_video():
    for aspect in (832 / 480, 480 / 832, 1):
        for _, box in laid_out(rows(aspect, ("video", "“kiss”"), 6), Asked()).cells:
            assert abs(box.width / aspect - box.height) <= 1


def test_without_a_title_the_pictures_begin_at_the_top():
    content = moment(1, ["“kiss”"])
    with_title, without = (laid_out(content, Asked(title=title)) for title in (True, False))
    assert without.height < with_title.height
    assert [text.text.text for text in without.texts] == [text.text.text for text in with_title.texts[2:]]


def test_a_label_that_is_too_long_for_a_single_row_puts_the_bar_below_it():
    one = laid_out(moment(832 / 480, ["“kiss”", "“men”"]), Asked(size=3.3))
    assert [(bar.bar.is_below, bar.box.left) for bar in one.bars] == [(True, one.cells[1][1].left)]
    assert not laid_out(moment(1, ["“kiss”"]), Asked(size=7)).bars[0].bar.is_below
