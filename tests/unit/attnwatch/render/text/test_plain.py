"""Text that is safe to draw."""

import unicodedata

import pytest

from attnwatch.render.text.plain import closed, composed, directed, is_right_to_left, isolated, plain, quoted

ARABIC, HEBREW = "قطة على cat", "חתול"
LRI, RLI, PDI = "\u2066", "\u2067", "\u2069"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("  a\tcat\r\n\u2028on  a\u3000mat ", "a cat on a mat"),
        ("bell\x07 and escape\x1b[31m", "bell and escape[31m"),
        ("\u202eevil\u202c \u2067x", "evil x"),
        (f"{PDI}a{PDI}", "a"),
        ("half \ud800 pair", "half \ufffd pair"),
        ("no\u00a0break", "no\u00a0break"),
        ("\ufeffsoft\u00adhyphen", "softhyphen"),
        ("e\u0301", "é"),
        ("👍🏽 👩\u200d👧", "👍 👩\u200d👧"),
        ("$5 and $6_x^2$", "$5 and $6_x^2$"),
    ],
)
def test_a_text_becomes_one_line_without_what_cannot_be_drawn(text, expected):
    assert plain(text) == expected


def test_no_more_marks_are_piled_on_a_letter_than_words_have():
    marks = "\u0321\u0315\u0335\u0336" * 5
    found = plain(f"Z{marks}x")
    assert (found[0], found[-1]) == ("Z", "x")
    assert 3 <= sum(map(bool, map(unicodedata.combining, found))) <= 4


def test_a_text_from_the_right_is_isolated_and_no_other_one():
    assert isolated("a cat") == "a cat"
    assert isolated(f"a {HEBREW}") == f"{LRI}a {HEBREW}{PDI}"
    assert isolated(f"{HEBREW}\u202e") == f"{RLI}{HEBREW}{PDI}"


def test_a_sentence_is_read_from_the_side_of_its_own_words():
    assert is_right_to_left(ARABIC)
    assert is_right_to_left("“1” " + HEBREW)
    assert not is_right_to_left(f"“{isolated(ARABIC)}” in “a cat”")
    assert not is_right_to_left(f"“{isolated(ARABIC)}”")
    assert not is_right_to_left("123")


def test_what_is_left_open_in_a_composed_text_is_closed_and_what_was_not_opened_is_dropped():
    assert composed(f"{PDI}a{RLI}b") == f"a{RLI}b{PDI}"
    assert composed("\u202ea") == "a"


def test_isolated_parts_end_with_a_line_and_begin_again_on_the_next():
    assert list(closed([f"a {RLI}b ", "c ", f"d{PDI} e"])) == [f"a {RLI}b {PDI}", f"{RLI}c {PDI}", f"{RLI}d{PDI} e"]


def test_each_line_of_a_text_has_its_direction():
    assert directed("cat", right_to_left=False) == "cat"
    assert directed(HEBREW, right_to_left=True) == HEBREW
    assert is_right_to_left(directed("cat 123", right_to_left=True))
    assert not is_right_to_left(directed(HEBREW, right_to_left=False))


def test_quotations_keep_the_order_of_the_sentence_around_them():
    assert quoted("two\nmen") == "“two men”"
    assert quoted("قطة") == f"“{isolated('قطة')}”" != "“قطة”"
