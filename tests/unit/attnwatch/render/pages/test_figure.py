import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnwatch.render.compose import pixels
from attnwatch.render.pages.counter import frame_form, seconds_form
from attnwatch.render.pages.figure import figure_page, figure_size
from tests.unit.attnwatch.render.pages.drawn import TITLES, bar, composed, faults, flat, luma, title

WHITE = 235
FORMS = [frame_form(81, 5.0), seconds_form(5.0)]
SHAPES = (1, 16 / 9, 9 / 16)
SIZES = ((12, 8), (8.32, 4.8), (4.8, 8.32), (3, 2), (2, 2))


def page(size=(6, 4), aspect=1.5, **changes):
    options = {"title": "“kiss”", "bar": bar(), "forms": FORMS, **changes}
    return figure_page(size, options["title"], aspect, options["bar"], options["forms"])


def share(drawn):
    (box,), (width, height) = drawn.boxes, drawn.size
    return box.width * box.height / (width * height)


def test_the_page_has_the_requested_size_at_100_dpi():
    assert page((6, 4)).size == figure_size((6, 4)) == (600, 400)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("aspect", SHAPES)
def test_no_text_is_cut_or_covers_anything_whatever_the_prompt(size, aspect):
    found = [faults(page(size, aspect, title=text)) for text in TITLES]
    assert found == [[]] * len(TITLES)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 30), (30, 1)])
@pytest.mark.parametrize("aspect", SHAPES)
def test_tiny_and_extreme_figures_leave_out_texts_and_keep_half_of_the_picture(size, aspect):
    drawn = page(size, aspect, title=title(150))
    width, height = drawn.size
    largest = min(width, height * aspect) ** 2 / aspect
    (box,) = drawn.boxes
    assert not faults(drawn)
    assert box.width * box.height >= 0.45 * largest


@pytest.mark.parametrize("aspect", SHAPES)
def test_the_box_of_the_picture_is_even_and_keeps_the_aspect(aspect):
    (box,) = page((6, 4), aspect).boxes
    assert all(value % 2 == 0 for value in (box.left, box.top, box.width, box.height))
    assert box.width / box.height == pytest.approx(aspect, rel=0.02)


def test_the_picture_takes_most_of_what_it_could():
    for size, aspect in itertools.product(SIZES[:3], SHAPES):
        drawn = page(size, aspect, title=title(20))
        width, height = drawn.size
        largest = min(width, height * aspect) ** 2 / aspect
        assert share(drawn) * width * height >= 0.55 * largest
    assert share(page((12, 8), 1)) > 0.6  # two thirds would be the whole height


def test_titles_take_at_most_three_lines_above_the_picture():
    drawn = page((8.32, 4.8), 16 / 9, title=title(600))
    (box,) = drawn.boxes
    above = {text for text, place in drawn.texts if place.bottom <= box.top}
    assert len(above) == 3
    assert any(text.endswith("…”") for text in above)


def test_the_picture_is_the_larger_the_less_is_beside_it():
    less = ({}, {"bar": None}, {"bar": None, "forms": []}, {"bar": None, "forms": [], "title": ""})
    shares = [share(page(**changes)) for changes in less]
    assert shares == sorted(shares)
    assert shares[0] < shares[1] < shares[2]


def test_a_counter_that_does_not_fit_shows_the_seconds_alone():
    (number, _), *others = page((1, 2), 1).counter.cells
    assert (number.name, others) == ("seconds", [])


def test_the_picture_fills_exactly_its_box():
    drawn = page()
    (box,) = drawn.boxes
    empty, filled = (drawn.compose([flat(box, level)], frame=1, seconds=0) for level in (16, 77))
    inside = (slice(box.top, box.bottom), slice(box.left, box.right))
    assert (luma(filled)[inside] == 77).all()
    changed = luma(empty) != luma(filled)
    changed[inside] = False
    assert not changed.any()
    for plane, value in zip(filled.planes[1:], (90, 200), strict=True):
        half = tuple(slice(part.start // 2, part.stop // 2) for part in inside)
        assert (pixels(plane)[half] == value).all()


def test_a_page_without_forms_has_no_counter():
    drawn = page(forms=[])
    assert drawn.counter is None
    assert (composed(drawn) == composed(drawn, frame=2)).all()


@pytest.mark.parametrize("aspect", SHAPES)
def test_the_colour_bar_spans_the_colormap_and_can_be_left_out(aspect):
    drawn = page((6, 4), aspect)
    (box,) = drawn.drawn
    inside = composed(drawn, frame=1, seconds=0)[box.top : box.bottom, box.left : box.right]
    ends = (inside[-1, 0], inside[0, 0]) if box.height > box.width else (inside[0, 0], inside[0, -1])
    assert ends[0] < 30
    assert ends[1] > 220
    assert page((6, 4), aspect, bar=None).drawn == ()


def test_the_values_beside_the_colour_bar_are_those_of_its_scale():
    small, large = ({text for text, _ in page(bar=bar(0, high)).texts} for high in (0.02, 0.07))
    assert small != large
    assert "0.010" in small


@given(
    size=st.tuples(st.floats(1, 20), st.floats(1, 20)),
    power=st.floats(-3, 3),
    ends=st.sampled_from([(0, 0.0123), (0.1, 0.1), (-3e-8, 2e-7), (0.999, 1)]),
    text=st.sampled_from(TITLES),
)
def test_no_text_is_cut_or_covers_anything_at_any_size(size, power, ends, text):
    assert faults(page(size, 10**power, title=text, bar=bar(*ends))) == []


def test_dollar_signs_and_characters_without_a_font_are_accepted():
    assert not faults(page(title="“kiss” for $5 and $6 in “\U000e0fff\U0001fbff”"))
