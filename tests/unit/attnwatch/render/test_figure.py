import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from attnwatch.render.colours import Colours
from attnwatch.render.compose import pixels
from attnwatch.render.figure import Box, attention_page, grid_page
from attnwatch.render.maps import Scale

WHITE, BLACK_BELOW = 235, 100


def page(**changes):
    settings = {
        "colormap": "hot",
        "scale": Scale(0.0, 0.01),
        "scale_label": "attention probability",
        "colorbar": True,
        "frames": 81,
    }
    return attention_page((6, 4), "“kiss”", 1.5, Colours.of_matrix(Colorspace.ITU601), **{**settings, **changes})


def flat(box, level):
    frame = av.VideoFrame(box.width, box.height, "yuv420p")
    for plane, value in zip(frame.planes, (level, 90, 200), strict=True):
        pixels(plane)[:] = value
    return frame


def luma(frame):
    return pixels(frame.planes[0]).astype(int)


def test_the_page_has_the_requested_size_at_100_dpi():
    assert page().size == (600, 400)


def test_the_box_of_the_map_is_even_keeps_the_aspect_and_fits_the_page():
    (box,) = page().boxes
    assert all(value % 2 == 0 for value in (box.left, box.top, box.width, box.height))
    assert box.width / box.height == pytest.approx(1.5, rel=0.02)
    assert box.left + box.width < 600
    assert box.top + box.height < 400


def test_the_picture_fills_exactly_its_box():
    drawn = page()
    (box,) = drawn.boxes
    empty, filled = drawn.compose([flat(box, 16)], 1), drawn.compose([flat(box, 77)], 1)
    inside = (slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))
    assert (luma(filled)[inside] == 77).all()
    changed = luma(empty) != luma(filled)
    changed[inside] = False
    assert not changed.any()
    for plane, value in zip(filled.planes[1:], (90, 200), strict=True):
        half = tuple(slice(part.start // 2, part.stop // 2) for part in inside)
        assert (pixels(plane)[half] == value).all()


def test_only_the_counter_changes_between_frames():
    drawn = page()
    (box,) = drawn.boxes
    seven, eight, many = (luma(drawn.compose([flat(box, 50)], number)) for number in (7, 8, 71))
    rows, columns = np.nonzero(seven != eight)
    assert len(rows)
    assert np.ptp(columns) < 12  # one digit
    assert rows.min() > box.top + box.height
    assert (seven != many).sum() > (seven != eight).sum() / 2


def test_a_page_without_frames_has_no_counter():
    drawn = page(frames=None)
    (box,) = drawn.boxes
    assert (luma(drawn.compose([flat(box, 50)], 1)) == luma(drawn.compose([flat(box, 50)], 2))).all()


def test_the_colorbar_spans_the_colormap_and_can_be_left_out():
    with_bar, without = page(), page(colorbar=False)
    (box,) = with_bar.boxes
    frame = luma(with_bar.compose([flat(box, 16)], 1))
    bar = frame[box.top + 4 : box.top + box.height - 4, box.left + box.width + 12]
    assert bar[0] > 200
    assert bar[-1] < 30
    (box,) = without.boxes
    frame = luma(without.compose([flat(box, 16)], 1))
    assert (frame[box.top : box.top + box.height, box.left + box.width + 2 :] == WHITE).all()


def test_the_scale_is_written_beside_the_colorbar():
    small, large = (page(scale=Scale(0.0, high)) for high in (0.01, 0.07))
    (box,) = small.boxes
    labels = [luma(drawn.compose([flat(box, 16)], 1))[:, box.left + box.width + 28 :] for drawn in (small, large)]
    assert (labels[0] != labels[1]).any()


def test_long_titles_and_dollar_signs_are_accepted():
    drawn = attention_page(
        (6, 4),
        r"“kiss” in “costs \$5 and \$6, " + "very " * 100 + "long”",
        1.5,
        Colours.of_matrix(Colorspace.ITU709),
        colormap="viridis",
        scale=Scale(0.0, 0.0),
        scale_label="",
        colorbar=True,
        frames=1,
    )
    assert drawn.size == (600, 400)


def test_characters_missing_from_the_fonts_cause_no_warning():
    drawn = attention_page(
        (6, 4),
        "“吻” in “一个浪漫的吻”",
        1.5,
        Colours.of_matrix(Colorspace.ITU709),
        colormap="hot",
        scale=Scale(0.0, 1.0),
        scale_label="",
        colorbar=False,
        frames=None,
    )
    assert drawn.size == (600, 400)


def test_a_grid_page_labels_its_boxes():
    boxes = [Box(8, 30, 200, 100), Box(8, 160, 60, 30)]
    drawn = grid_page(
        (220, 220), boxes, ["frame 5", "1"], title="“kiss”", colours=Colours.of_matrix(Colorspace.ITU601), steps=50
    )
    frame = luma(drawn.compose([flat(box, WHITE) for box in boxes], 3))
    below = frame[130:160, 8:208]
    assert (below < BLACK_BELOW).any()
