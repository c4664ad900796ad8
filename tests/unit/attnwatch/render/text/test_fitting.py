"""A text fits into the room that it is given."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnwatch.render.text.fitting import fit
from attnwatch.render.text.measuring import Font, extent
from attnwatch.render.text.plain import isolated, plain
from tests.unit.attnwatch.render.text.samples import SAMPLES, sample

FONT = Font(8)
LONG = "an extraordinary grandmother " * 9
MARKS = dict.fromkeys(map(ord, "\u200e\u200f\u2066\u2067\u2069"))


def letters(lettering):
    """Return the characters of a text without blanks and marks of direction."""
    return "".join(lettering.lines).translate(MARKS).replace(" ", "")


@pytest.mark.parametrize("name", SAMPLES)
def test_no_line_is_wider_than_asked_for_and_nothing_is_lost(name):
    text = sample(name)
    for width in (40, 97, 300):
        lettering = fit(text, FONT, width=width)
        assert lettering.width <= width
        assert letters(lettering) == plain(text).replace(" ", "")
        assert not lettering.is_cut


@pytest.mark.parametrize("name", SAMPLES)
def test_a_text_that_is_too_long_is_cut_with_an_ellipsis_and_keeps_its_beginning(name):
    lettering = fit(" ".join([sample(name)] * 3), FONT, width=101, lines=2)
    assert len(lettering.lines) == 2
    assert lettering.width <= 101
    assert lettering.is_cut
    kept = letters(lettering)
    assert kept.endswith("…")
    assert plain(" ".join([SAMPLES[name]] * 3)).replace(" ", "").startswith(kept[:-1])


@pytest.mark.parametrize("height", [0, 5, 13, 14, 30, 61])
def test_the_lines_are_as_many_as_the_height_holds(height):
    lettering = fit(LONG, FONT, width=120, height=height)
    assert lettering.height <= height < lettering.height + fit("a", FONT).height
    assert lettering.is_cut


def test_letters_that_reach_higher_make_lines_fewer():
    high = fit("A\u030a\u0301\u0302\u0303\u0304 " * 40, FONT, width=100, height=60)
    assert 0 < high.height <= 60
    assert len(high.lines) < len(fit(LONG, FONT, width=100, height=60).lines)


def test_a_text_is_cut_between_words():
    assert fit(LONG, FONT, width=130, lines=1).text == "an extraordinary…"
    assert fit("a cat, a dog and a bird", FONT, width=45, lines=1).text == "a cat…"


def test_lines_of_a_title_are_about_equally_long_and_no_more():
    text = "one two three four five six"
    full, balanced = (fit(text, FONT, width=140, balanced=flag) for flag in (False, True))
    assert full.text == "one two three four five\nsix"
    assert balanced.text == "one two three\nfour five six"
    assert fit(LONG, FONT, width=130, lines=2, balanced=True) == fit(LONG, FONT, width=130, lines=2)
    assert fit("one", FONT, balanced=True).text == "one"
    assert fit("", FONT, balanced=True).lines == ()


@pytest.mark.parametrize("width", [0, 1, 3])
def test_nothing_is_drawn_where_nothing_fits(width):
    lettering = fit("wide", FONT, width=width, lines=3)
    assert lettering.lines == ()
    assert lettering.is_cut


@pytest.mark.parametrize("text", ["", "  \n ", "\u202e", "\x00"])
def test_an_empty_text_is_no_line(text):
    lettering = fit(text, FONT, width=100, height=100)
    assert lettering.lines == ()
    assert not lettering.is_cut


def test_a_text_without_limits_is_one_line():
    assert fit("a\ncat  sat", FONT).lines == ("a cat sat",)


def test_every_line_of_a_text_from_the_right_is_laid_out_from_there():
    lettering = fit("قطة على cats and dogs and birds جدا", FONT, width=80)
    assert lettering.right_to_left
    assert len(lettering.lines) > 2
    assert all(line[0] in "\u200fقعج" for line in lettering.lines)


def test_an_isolated_part_stays_isolated_on_each_line_and_before_an_ellipsis():
    text = f"“{isolated('قطة')}” in “{isolated('قطة تنام على حافة النافذة الدافئة')}”"
    for line in fit(text, FONT, width=80).lines + (cut := fit(text, FONT, width=80, lines=2)).lines:
        assert line.count("\u2067") == line.count("\u2069")
    assert cut.lines[-1].endswith("…\u2069")


@pytest.mark.usefixtures("only_own_fonts")
def test_what_no_font_has_is_one_box_for_what_a_reader_takes_for_a_character():
    assert fit("a 猫 क्षि", FONT).text == "a □ □"


def test_words_that_recur_are_measured_once():
    words = [f"{'aeiou'[index % 5]}{index}" for index in range(100)]
    labels = [" ".join(words[index * step % 100] for step in range(1, 26)) for index in range(100)]
    before = extent.cache_info().misses
    for label in labels:
        fit(label, FONT, width=200, height=80)
    assert extent.cache_info().misses - before < 3 * len(words)  # with a blank, without, and before an ellipsis


AWKWARD = list("ab -“”猫。（）กำเ\u200d\u2067\u2069\u200fקטק्\u0301🤖🇩🇪\u00a0\ud800\u202e$_^{}\\%\u1b6b")


@given(
    st.text(st.one_of(st.characters(), st.sampled_from(AWKWARD)), max_size=40),
    st.integers(0, 120),
    st.integers(0, 4),
    st.integers(0, 70),
    st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_any_text_stays_in_its_room_and_warns_of_nothing(text, width, lines, height, balanced):
    for asked in (text, f"“{isolated(text)}” in “{isolated(text)}”"):
        lettering = fit(asked, FONT, width=width, lines=lines, height=height, balanced=balanced)
        assert lettering.width <= width
        assert lettering.height <= height
        assert len(lettering.lines) <= lines
    lettering.ink()


def test_a_mark_that_the_font_of_its_letter_lacks_is_left_out():
    assert fit("a “\u1b6b cat", FONT).text == "a “ cat"
