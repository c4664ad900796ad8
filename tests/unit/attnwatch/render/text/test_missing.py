"""Which fonts to install."""

import pytest

from attnwatch.render.text.missing import missing_glyphs

pytestmark = pytest.mark.usefixtures("only_own_fonts")


def test_nothing_is_missing_from_a_text_that_can_be_drawn():
    assert missing_glyphs("a cat\n– Küsse \u202e") is None


def test_what_no_font_has_is_named_with_the_fonts_to_install():
    assert str(missing_glyphs("a 猫 in 公园")) == (
        "labels show □ for 3 characters that no installed font has (公园猫); "
        "install Noto Sans CJK (Debian: apt install fonts-noto-cjk)"
    )


def test_a_long_list_of_characters_is_shortened():
    assert "(一七三上下…)" in missing_glyphs("三上下一七不").found


@pytest.mark.parametrize(
    ("text", "packages"),
    [
        ("가", "fonts-noto-cjk"),
        ("か、", "fonts-noto-cjk"),
        ("ม", "fonts-noto-core"),
        ("🚀", "fonts-symbola"),
        ("ม 🚀 猫 म", "fonts-symbola fonts-noto-core fonts-noto-cjk"),
    ],
)
def test_the_packages_depend_on_the_scripts_only(text, packages):
    assert missing_glyphs(text).remedy.endswith(f"(Debian: apt install {packages})")
