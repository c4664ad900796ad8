"""Which fonts draw a text."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.font_manager import FontProperties, findfont, get_font

from attnwatch.render.text import fonts
from attnwatch.render.text.fonts import fallbacks, families, lacking


@pytest.fixture
def rare():
    """Return a character that the usual font lacks, and another font of matplotlib has."""
    usual, other = (get_font(findfont(FontProperties(family=name))) for name in ("DejaVu Sans", "STIXGeneral"))
    code = next(code for code in other.get_charmap() if code > 127 and not usual.get_char_index(code))
    assert chr(code).isprintable()
    return chr(code)


@pytest.fixture
def installed(monkeypatch):
    """Return a function that pretends that fonts are installed: families with the characters that they have."""

    def install(**characters):
        entries = tuple(Entry(name.replace("_", " ")) for name in characters)
        have = {entry.fname: sorted(map(ord, characters[entry.name.replace(" ", "_")])) for entry in entries}
        coverage = lambda path, face: np.array(have.get(path, []), np.uint32)  # noqa: E731
        monkeypatch.setattr(fonts, "_installed", lambda: tuple(sorted(entries, key=fonts._rank)))
        monkeypatch.setattr(fonts, "_coverage", coverage)

    for cached in (fonts._unusual, fonts._choice, fonts._installed_for):
        cached.cache_clear()
    yield install
    for cached in (fonts._unusual, fonts._choice, fonts._installed_for):
        cached.cache_clear()


class Entry:
    index = 0

    def __init__(self, name):
        self.name = self.fname = name


@pytest.mark.parametrize("text", ["kiss", "“Küsse” – naïve: привет, γειά σου", "\u2067قطة\u2069\u200f", ""])
def test_a_text_that_the_usual_font_has_is_drawn_with_it(text):
    assert fallbacks(text) == ()
    assert families(text) == ("DejaVu Sans",)
    assert lacking(text) == ""


def test_the_usual_font_is_that_of_the_present_style():
    with mpl.rc_context({"font.family": ["monospace", "STIXGeneral"]}):
        assert families("kiss") == ("DejaVu Sans Mono", "STIXGeneral")
    assert families("kiss") == ("DejaVu Sans",)


def test_another_font_draws_what_the_usual_one_lacks(only_own_fonts, rare):
    (family,) = fallbacks(f"a {rare}")
    assert get_font(findfont(FontProperties(family=[family]))).get_char_index(ord(rare))
    assert lacking(f"a {rare}") == ""


def test_characters_that_no_font_has_are_lacking(only_own_fonts):
    assert lacking("a 猫 in 公园") == "公园猫"
    assert fallbacks("猫") == ()


def test_characters_for_private_use_are_lacking_even_if_a_font_has_them(installed):
    installed(Noto_Sans="\ue000")
    assert lacking("a \ue000") == "\ue000"


def test_each_script_has_a_font_of_its_own(installed):
    installed(Noto_Sans_CJK_SC="猫一只公", Noto_Sans_Thai="แมว", Noto_Sans_Mono="แมว猫")
    assert fallbacks("แมว and 猫") == ("Noto Sans CJK SC", "Noto Sans Thai")
    assert lacking("แมวๆ and 猫狗") == "狗ๆ"


def test_the_font_that_has_most_of_a_script_comes_first(installed):
    installed(Noto_Sans="ก", Kinnari="กขค")
    assert fallbacks("กขค") == ("Kinnari",)
    installed(Noto_Sans="กข", Kinnari="ขค")
    fonts._choice.cache_clear()
    assert fallbacks("กขค") == ("Noto Sans", "Kinnari")


@pytest.mark.parametrize(
    ("text", "variant"),
    [
        ("电影质感", "SC"),
        ("電影質感的特寫", "TC"),
        ("猫が走る", "JP"),
        ("働", "JP"),
        ("고양이 猫", "KR"),
        ("猫", "SC"),
    ],
)
def test_chinese_characters_are_drawn_as_the_country_of_the_text_writes_them(installed, text, variant):
    installed(**{f"Noto_Sans_CJK_{ending}": text for ending in ("HK", "JP", "KR", "SC", "TC")})
    assert fallbacks(text) == (f"Noto Sans CJK {variant}",)


def test_a_font_that_cannot_be_read_has_no_characters(tmp_path):
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"\0" * 100)
    assert not fonts._coverage(str(broken), 0).size
    assert not fonts._coverage(str(tmp_path / "gone.ttf"), 0).size
