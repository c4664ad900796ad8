"""Where a line may end."""

import pytest

from attnwatch.render.text.breaking import pieces, syllables


@pytest.mark.parametrize(
    "expected",
    [
        ["a ", "cat, ", "and ", "(a  ", "dog)"],
        ["well-", "known ", "x-1 ", "-5 ", "--flag ", "5–6"],
        ["http://example.org/", "long/", "path?x=1"],
        ["don’t ", "“quote ", "me”, ", "he ", '"said" ', "quoi\u00a0? ", "quoi ? ", "oui"],
        ["一", "只", "猫，", "坐", "在", "（红", "色）", "的", "“垫", "子”", "上", "面。", "cat，", "dog"],
        ["猫", "cat ", "5", "只", "10", "米"],
        ["キャッ", "ト", "が", "ちょっ", "と", "メー", "ト", "ル", "走", "る。」", "猫"],
        ["한국어 ", "레이블"],
        ["🤖", "🚀", "👩\u200d👧!"],
        ["zero\u200b", "width"],
        ["हिन्दी ", "है। ", "में"],
    ],
)
def test_a_line_may_end_between_words_or_between_characters_of_scripts_without_blanks(expected):
    assert list(pieces("".join(expected))) == expected


def test_what_was_isolated_stays_with_its_quotation_marks():
    assert list(pieces("“\u2067猫 קטה\u2069” in")) == ["“\u2067猫 ", "קטה\u2069” ", "in"]


def test_a_thai_text_is_divided_between_syllables_only():
    assert list(syllables("แมวกำลังในเรา")) == ["แม", "ว", "กำ", "ลั", "ง", "ใน", "เรา"]
    assert list(syllables("word")) == ["w", "o", "r", "d"]


def test_an_empty_text_has_no_pieces():
    assert list(pieces("")) == []
    assert list(syllables("")) == []
