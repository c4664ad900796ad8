"""What stands around the pictures: in its place, and nowhere else."""

from fractions import Fraction

import av
import numpy as np
import pytest

from attnwatch.batches.videos import read_video
from attnwatch.render.compose import pixels
from attnwatch.render.figure import Box
from attnwatch.render.side_by_side.page import Bar, Clock, Label, drawn, height_of
from attnwatch.render.side_by_side.plan import planned
from attnwatch.render.side_by_side.scene import Request, Scene
from attnwatch.render.side_by_side.videos import opened
from attnwatch.settings import Visualization
from tests.moving import add_numbered
from tests.support import Batch

SETTINGS = Visualization(colormap="viridis")
LONG = "a romantic kiss between two very old men in a park at sunset, film grain, 35 mm, masterpiece, highly detailed"
CHINESE = "两个男人在公园里接吻夕阳西下电影颗粒感杰作非常精细的画面细节丰富光线柔和色彩温暖背景模糊"


def page(*labels, size=(400, 100), letters=14, settings=SETTINGS):
    return drawn(size, labels, letters, settings)


def inside(drawing, box):
    return drawing[box.top : box.top + box.height, box.left : box.left + box.width]


def outside(drawing, box):
    """Return the darkest pixel outside of a box."""
    rest = drawing.copy()
    inside(rest, box)[:] = rest.max()
    return rest.min()


@pytest.mark.parametrize(
    "text", ["kiss", LONG, CHINESE, "kiss\nme $ _{x}$", "W" * 200], ids=["short", "long", "chinese", "odd", "word"]
)
@pytest.mark.parametrize(
    "bar", [None, Bar("0", "0.012", "attention"), Bar("-0.00012", "0.00034")], ids=["no bar", "bar", "wide bar"]
)
def test_a_label_never_leaves_its_box(text, bar):
    box = Box(20, 30, 180, 22)
    drawing = page(Label(box, text, bar))
    assert outside(drawing, box) == 1
    assert inside(drawing, box).min() < 0.5


def test_a_colour_bar_shows_the_colours_from_low_to_high_between_its_ends():
    box = Box(20, 30, 300, 22)
    drawing = page(Label(box, "kiss", Bar("0", "1")))
    row = inside(drawing, box)[12]
    coloured = np.flatnonzero(np.ptp(row, axis=-1) > 0.1)
    assert np.all(np.diff(coloured) == 1)
    assert row[coloured[0]] == pytest.approx([0.267, 0.005, 0.329], abs=0.01)
    assert row[coloured[-1]] == pytest.approx([0.993, 0.906, 0.144], abs=0.01)
    inverted = page(Label(box, "kiss", Bar("0", "1")), settings=Visualization(colormap="viridis", invert=True))
    assert inside(inverted, box)[12][coloured] == pytest.approx(row[coloured][::-1], abs=1e-6)


def test_what_a_bar_is_about_is_left_out_where_there_is_no_room():
    def ink(width, about):
        return (page(Label(Box(0, 0, width, 22), "kiss", Bar("0", "1", about))) < 0.5).sum()

    assert ink(390, "attention") > ink(390, "")
    assert ink(120, "attention") == ink(120, "")


def test_an_empty_cell_is_grey_and_says_why_in_its_middle():
    box = Box(100, 10, 200, 80)
    drawing = page(Label(box, "“man”: not tracked", is_gap=True))
    assert outside(drawing, box) == 1
    cell = inside(drawing, box)
    assert np.median(cell) == pytest.approx(0.93)
    rows, columns = np.nonzero(cell.mean(axis=-1) < 0.5)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(40, abs=4)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(100, abs=4)


def test_longer_texts_take_more_lines_up_to_a_limit():
    heights = [height_of(text, 200, 14, 3) for text in ("kiss", LONG[:40], LONG, LONG * 3)]
    assert heights == sorted(heights)
    assert heights[1] == 2 * heights[0]
    assert heights[3] == 3 * heights[0]


def clocked(clock, seconds):
    frame = av.VideoFrame(400, 60, "yuv420p")
    pixels(frame.planes[0])[:] = 235
    clock.show(frame, seconds)
    return pixels(frame.planes[0]).copy()


def test_the_digits_of_the_clock_keep_their_places_and_stay_in_their_box():
    box = Box(10, 10, 380, 20)
    clock = Clock(box, 14, 88.88)
    times = [clocked(clock, Fraction(seconds)) for seconds in ("88.88", "11.11", "1.11", "0.25")]
    for luma in times:
        assert outside(luma, Box(clock.left, 10, 390 - clock.left, 20)) == 235
        assert luma.min() < 80
    unit = slice(378, 390)
    assert all(np.array_equal(luma[:, unit], times[0][:, unit]) for luma in times)
    assert np.array_equal(times[1][:, clock.left + 10 :], times[2][:, clock.left + 10 :])


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
        boxes = boxes_of(some, Request(**asked))
        apart = [(one, other) for at, one in enumerate(boxes) for other in boxes[at + 1 :] if overlap(one, other)]
        assert apart == []


def boxes_of(manifests, request):
    from contextlib import ExitStack

    with ExitStack() as stack:
        videos = [stack.enter_context(opened(read_video(path), request.words, SETTINGS)) for path in manifests]
        plan = planned(Scene.of(videos, request, SETTINGS), 2.5)
    clock = plan.layout.title
    corner = Box(plan.clock.left, clock.top, clock.left + clock.width - plan.clock.left, 14)
    return [corner, *(label.box for label in plan.labels), *(box for group in plan.boxes for box in group)]


def overlap(one, other):
    return (
        one.left < other.left + other.width
        and other.left < one.left + one.width
        and one.top < other.top + other.height
        and other.top < one.top + one.height
    )
