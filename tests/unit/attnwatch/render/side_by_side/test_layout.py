"""Places on a page."""

from itertools import combinations

import pytest

from attnwatch.errors import ConfigError
from attnwatch.render.side_by_side.layout import HIGHEST, Shape, arranged

LANDSCAPE, PORTRAIT, WIDE, TINY = (832.0, 480.0), (480.0, 832.0), (1280.0, 544.0), (64.0, 48.0)


def page(*sizes, cells=1, across=None, width=None, widest=1920, heads=True, **heights):
    return arranged(Shape(sizes, cells, across, width, widest, heads, **heights))


def rows(layout):
    """Return how many groups stand in each row."""
    tops = [group[0].top for group in layout.cells]
    return [tops.count(top) for top in sorted(set(tops))]


def parts(layout):
    cells = [box for group in layout.cells for box in group]
    return [layout.title, *layout.heads, *layout.captions, *cells]


@pytest.mark.parametrize(
    "sizes", [[LANDSCAPE], [LANDSCAPE] * 6, [PORTRAIT] * 4, [LANDSCAPE, PORTRAIT, WIDE], [TINY] * 5]
)
@pytest.mark.parametrize("cells", [1, 3])
@pytest.mark.parametrize("width", [None, 700, 1919, 3840])
def test_nothing_overlaps_and_everything_is_on_the_page_on_even_edges(sizes, cells, width):
    layout = page(*sizes, cells=cells, width=width, title=41, caption=33, head=37)
    assert [pair for pair in combinations(parts(layout), 2) if pair[0].overlaps(pair[1])] == []
    for box in parts(layout):
        assert box.left >= 0 <= box.top
        assert box.left + box.width <= layout.size[0]
        assert box.top + box.height <= layout.size[1]
    edges = [edge for group in layout.cells for box in group for edge in (box.left, box.top, box.width, box.height)]
    assert {edge % 2 for edge in (*edges, *layout.size)} == {0}


@pytest.mark.parametrize("sizes", [[LANDSCAPE] * 6, [PORTRAIT] * 4, [LANDSCAPE, PORTRAIT, WIDE], [TINY]])
def test_pictures_keep_their_shape_and_have_one_height(sizes):
    layout = page(*sizes)
    heights = {box.height for group in layout.cells for box in group}
    assert len(heights) == 1
    for group, (width, height) in zip(layout.cells, sizes, strict=True):
        assert group[0].width == pytest.approx(group[0].height * width / height, abs=2)


def test_the_rows_of_one_word_fill_a_page_about_as_wide_as_a_screen():
    assert rows(page(*[LANDSCAPE] * 3)) == [3]
    assert rows(page(*[LANDSCAPE] * 4)) == [2, 2]
    assert rows(page(*[LANDSCAPE] * 6)) == [3, 3]
    assert rows(page(*[PORTRAIT] * 4)) == [4]
    assert rows(page(*[PORTRAIT] * 12)) == [6, 6]


def test_videos_of_several_columns_stand_below_each_other():
    assert rows(page(*[LANDSCAPE] * 2, cells=3)) == [1, 1]


def test_the_number_across_can_be_chosen():
    assert rows(page(*[LANDSCAPE] * 5, across=2)) == [2, 2, 1]
    assert rows(page(*[LANDSCAPE] * 2, cells=3, across=2)) == [2]
    assert rows(page(*[LANDSCAPE] * 2, across=10)) == [2]


@pytest.mark.parametrize("width", [480, 700, 1920])
def test_a_page_is_as_wide_as_was_asked_for(width):
    assert page(*[TINY] * 6, width=width).size[0] == width


def test_a_page_is_no_wider_than_its_videos_and_no_higher_than_players_take():
    assert page(LANDSCAPE).size[0] == pytest.approx(832, abs=40)
    assert page(*[LANDSCAPE] * 3).size[0] <= 1920
    assert page(*[LANDSCAPE] * 3, widest=960).size[0] <= 960
    assert page(*[LANDSCAPE] * 12, cells=2).size[1] <= HIGHEST
    assert page(*[PORTRAIT] * 8, cells=2).size[1] <= HIGHEST


def test_small_videos_are_enlarged_so_that_something_is_seen():
    assert page(TINY).cells[0][0].height == pytest.approx(240, abs=4)


@pytest.mark.parametrize(("count", "cells", "width"), [(1, 12, 200), (6, 1, 100)])
def test_a_page_without_room_for_its_pictures_is_refused(count, cells, width):
    with pytest.raises(ConfigError, match=r"expected room for pictures of at least 32 x 32.*larger width"):
        page(*[LANDSCAPE] * count, cells=cells, width=width)
