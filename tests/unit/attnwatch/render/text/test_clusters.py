"""What a reader takes for one character is never taken apart."""

import pytest

from attnwatch.render.text.clusters import clusters


@pytest.mark.parametrize(
    "expected",
    [
        ["c", "a", "t"],
        ["e\u0301", "\u1ec7\u0323", "x"],
        ["👩\u200d👩\u200d👧", "👍🏽", "❤\ufe0f", "🇩🇪", "🇫🇷", "1\ufe0f\u20e3"],
        ["🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴"],
        ["क्ष", "त्रि", "य"],
        ["고", "\u1100\u1161\u11a8", "\u1100"],
        ["ที่", "นี่"],
        ["\u0600\u0661", "ا"],
        [" ", "\u0301", "a"],
        [],
    ],
    ids=["Latin", "marks", "emoji", "flags", "Devanagari", "Hangul", "Thai", "prepended", "lone mark", "empty"],
)
def test_a_text_is_split_between_what_a_reader_takes_for_characters(expected):
    assert list(clusters("".join(expected))) == expected
