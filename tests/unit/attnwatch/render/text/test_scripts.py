"""The writing systems of characters."""

from attnwatch.render.text.scripts import by_script


def test_characters_are_grouped_by_the_script_whose_fonts_have_them():
    assert by_script("猫がー。고Ａम🐈→แ") == {
        "CJK": "。がー猫고Ａ",
        "DEVANAGARI": "म",
        "SYMBOLS": "→🐈",
        "THAI": "แ",
    }
