"""What stands around the pictures: in its place, and nowhere else."""

from contextlib import ExitStack
from itertools import combinations

import numpy as np
import pytest

from attnwatch.batches.videos import read_video
from attnwatch.contract.kinds import OutputKind
from attnwatch.render.boxes import Box
from attnwatch.render.colormap import yuv_tables
from attnwatch.render.colour_bars import colour_bar
from attnwatch.render.colours import Colours
from attnwatch.render.compose import pixels
from attnwatch.render.maps import Scale
from attnwatch.render.pages.lines import TextStyle
from attnwatch.render.side_by_side.page import Clock, Label, drawn, height_of
from attnwatch.render.side_by_side.plan import planned
from attnwatch.render.side_by_side.scene import Request, Scene
from attnwatch.render.side_by_side.videos import opened
from attnwatch.settings import Visualization
from tests.moving import add_numbered
from tests.support import Batch
from tests.unit.attnwatch.render.text.samples import drawable

SETTINGS = Visualization()
STYLE = TextStyle(14)
CLOCK = Clock(right=396, top=60, last=12.5)
LONG = "a romantic kiss between two very old men in a park at sunset, film grain, 35 mm, masterpiece, highly detailed"
CHINESE = "两个男人在公园里接吻夕阳西下电影颗粒感杰作非常精细的画面细节丰富光线柔和色彩温暖背景模糊"


def bar(scale, settings=SETTINGS):
    return colour_bar(OutputKind.OVERLAY, scale, settings, yuv_tables("viridis", Colours.usual(480)))


def page(*labels, bars=bar):
    return drawn((400, 100), labels, CLOCK, STYLE, pictures=[], bar=bars)


def texts(drawing):
    """Return what is written, without the unit of the clock."""
    return drawing.texts[:-1]


@pytest.mark.parametrize("text", ["kiss", LONG, CHINESE, "kiss $ _{x}$", "W" * 200], ids=range(5))
@pytest.mark.parametrize("scale", [None, Scale(0, 0.0117), Scale(-0.00012, 0.00034), Scale(1, 1)], ids=range(4))
@pytest.mark.parametrize("box", [Box(20, 20, 180, 20), Box(20, 2, 300, 40)], ids=["a line", "two lines"])
def test_a_label_and_its_colour_bar_never_leave_their_box_nor_cover_each_other(text, scale, box):
    drawing = page(Label(box, drawable(text), scale))
    found = [place for _, place in texts(drawing)] + list(drawing.drawn)
    assert all(box.contains(place) for place in found)
    assert [pair for pair in combinations(found, 2) if pair[0].overlaps(pair[1])] == []
    assert texts(drawing)[0][0][0] == text[0]
    has_room = box.height > 20 or scale != Scale(-0.00012, 0.00034)
    assert len(drawing.drawn) == (scale is not None and has_room)


def test_a_colour_bar_without_room_beside_the_text_is_in_a_line_of_its_own():
    drawing = page(Label(Box(0, 10, 120, 40), "romantic kiss", Scale(0, 0.012)))
    (_, text), *_ = texts(drawing)
    assert [line for line, _ in texts(drawing)] == ["romantic kiss", "0", "0.0120"]
    assert text.bottom < drawing.drawn[0].top


def test_colour_bars_beside_each_other_are_all_beside_their_words_or_all_below_them():
    boxes = [Box(0, 10, 190, 40), Box(200, 10, 190, 40)]  # so high, because one of the words needs two lines
    drawing = page(*map(Label, boxes, ["kiss", "romantic kiss in the park"], [Scale(0, 0.012)] * 2))
    assert len({bar.top for bar in drawing.drawn}) == len({bar.width for bar in drawing.drawn}) == 1


def test_a_label_has_a_colour_bar_with_its_ends_and_what_it_is_about_where_there_is_room():
    wide, narrow = (
        [text for text, _ in texts(page(Label(Box(0, 20, width, 20), "kiss", Scale(0, 0.012))))] for width in (390, 180)
    )
    assert wide == ["kiss", "0", "0.0120", "attention"]
    assert narrow == ["kiss", "0", "0.0120"]


def test_no_colour_bar_is_drawn_if_none_is_asked_for():
    drawing = page(Label(Box(0, 20, 390, 20), "kiss", Scale(0, 1)), bars=lambda _: None)
    assert (drawing.drawn, [text for text, _ in texts(drawing)]) == ((), ["kiss"])


def test_an_empty_cell_is_grey_and_says_why_in_its_middle():
    box = Box(100, 10, 200, 40)
    drawing = page(Label(box, "“man”: not tracked", is_gap=True))
    luma = pixels(drawing.compose([], seconds=0).planes[0])
    assert np.median(luma[10:50, 100:300]) == 220
    ((_, place),) = texts(drawing)
    assert place.left + place.width / 2 == pytest.approx(200, abs=3)
    assert place.top + place.height / 2 == pytest.approx(30, abs=4)


def test_longer_texts_take_more_lines_up_to_a_limit():
    heights = [height_of(text, 200, STYLE, 3) for text in ("", "kiss", LONG[:40], LONG, LONG * 3)]
    assert heights == [STYLE.height(lines) for lines in (0, 1, 2, 3, 3)]


def test_the_clock_tells_the_seconds_at_its_place():
    drawing = page()
    early, late = (pixels(drawing.compose([], seconds=time).planes[0]).astype(int) for time in (0.25, 1.5))
    rows, columns = np.nonzero(early != late)
    assert columns.min() >= CLOCK.right - CLOCK.width(STYLE)
    assert columns.max() < CLOCK.right
    assert rows.min() >= CLOCK.top
    assert drawing.texts[-1][0] == "s"


@pytest.mark.parametrize("prompt", [LONG, CHINESE, "a kiss"], ids=["long", "chinese", "short"])
@pytest.mark.parametrize("asked", [{"width": 320}, {"words": ("kiss",), "width": 500}, {"shared": False, "width": 640}])
def test_no_text_of_a_page_covers_another_one_or_a_picture(prompt, asked, tmp_path):
    batch = Batch.make(tmp_path)
    prompts = (prompt, prompt[:8] + " dog " + prompt[8:], prompt + " at night")
    manifests = [
        add_numbered(batch, number, frames=1, words=("kiss", "park"), generation={"prompt": text, "seed": number})
        for number, text in enumerate(prompts, 1)
    ]
    for some in (manifests, manifests[:1]):
        places = places_of(some, Request(**asked))
        assert [pair for pair in combinations(places, 2) if pair[0].overlaps(pair[1])] == []


def places_of(manifests, request):
    """Return the places of all texts, bars and pictures of a page, and of its clock."""
    with ExitStack() as stack:
        videos = [stack.enter_context(opened(read_video(path), request.words, SETTINGS)) for path in manifests]
        plan = planned(Scene.of(videos, request, SETTINGS), 2.5, bar)
    pictures = [box for group in plan.boxes for box in group]
    page = drawn(plan.layout.size, plan.labels, plan.clock, plan.style, pictures=pictures, bar=bar)
    digits = [cell for _, cells in page.counter.cells for cell in cells]
    assert all(Box(0, 0, *page.size).contains(place) for _, place in page.texts)
    return [*(place for _, place in page.texts), *page.drawn, *pictures, *digits]
