"""Labels in any script: fonts that have their characters, and lines of the right width."""

from textwrap import fill, shorten

import pytest
from rich.cells import cell_len

from attnwatch.render.labels import fitted, is_wide, shortened, wrapped

ENGLISH = "a very ordinary prompt about a cat that sleeps on a warm windowsill while it rains outside for a long time"
CHINESE = "电影质感的特写镜头，一位年轻女子站在雨中的霓虹街头，身穿红色风衣 the cat, 雨水顺着她的头发滴落"


def test_an_english_text_is_wrapped_and_shortened_as_by_textwrap():
    for width in range(20, 60):
        assert wrapped(ENGLISH, width) == fill(ENGLISH, width)
    for most in range(20, 120):
        assert shortened(ENGLISH, most) == shorten(ENGLISH, most, placeholder=" …")


def test_a_text_without_spaces_is_cut_instead_of_dropped():
    short = shortened(CHINESE, 40)
    assert short.endswith(" …")
    assert 30 < cell_len(short) <= 40
    assert CHINESE.startswith(short.removesuffix(" …"))


@pytest.mark.parametrize("text", [CHINESE, "x" * 100, "ok " + "y" * 70 + " 猫"])
def test_no_line_is_wider_than_asked_for_and_nothing_is_lost(text):
    lines = wrapped(text, 26).split("\n")
    assert max(map(cell_len, lines)) <= 26
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_no_line_begins_with_a_comma():
    assert {line[0] for width in range(8, 60) for line in wrapped(CHINESE, width).split("\n")}.isdisjoint("，,")


def test_wide_characters_are_recognised():
    assert is_wide("a 猫")
    assert not is_wide("é à l'œil")


@pytest.mark.parametrize("lines", [1, 2, 5])
@pytest.mark.parametrize("text", ["an extraordinary grandmother " * 9, "一位年轻女子站在雨中，" * 20, "x" * 500])
def test_a_text_that_is_too_long_fills_its_lines_and_is_cut(text, lines):
    found = fitted(text, 26, lines).split("\n")
    assert len(found) == lines
    assert max(cell_len(line) for line in found) <= 26
    assert found[-1].endswith("…")


def test_a_text_that_fits_is_kept():
    assert fitted("a  short text", 8, 2) == "a short\ntext"
