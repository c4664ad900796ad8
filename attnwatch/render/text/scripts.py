"""The writing systems of characters, as far as the choice of fonts depends on them."""

import itertools
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

CJK, SYMBOLS = "CJK", "SYMBOLS"
_CJK_NAMES = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH", "BOPOMOFO"})
_CJK_SYMBOLS = ("\u3000", "\u33ff")  # punctuation, kana, enclosed letters and units
# Chinese characters look different in each country; which one a text is from, its own characters tell.
_LEGACY_ENCODINGS = (("gb2312", "SC"), ("big5", "TC"), ("shift_jis", "JP"))


def by_script(characters: Iterable[str]) -> dict[str, str]:
    """Return characters by the name of their script, such as "CJK", "DEVANAGARI" or "SYMBOLS"."""
    ordered = sorted(set(characters), key=lambda character: (script_of(character), character))
    return {script: "".join(group) for script, group in itertools.groupby(ordered, script_of)}


@lru_cache(maxsize=4096)
def script_of(character: str) -> str:
    """Return the name of a character's script; Chinese, Japanese and Korean ones, which share fonts, are one."""
    first = unicodedata.name(character, "").partition(" ")[0].partition("-")[0]
    if first in _CJK_NAMES or _CJK_SYMBOLS[0] <= character <= _CJK_SYMBOLS[1]:
        return CJK
    return first if unicodedata.category(character)[0] in "LMN" and first else SYMBOLS


def cjk_variant(characters: str) -> str:
    """Return how the font of Chinese characters ends its name, as Noto's and Adobe's do: SC, TC, JP or KR."""
    if any("\u3040" <= character <= "\u30ff" and character not in "・ー" for character in characters):
        return "JP"
    if any("\u1100" <= character <= "\u11ff" or "\uac00" <= character <= "\ud7a3" for character in characters):
        return "KR"
    han = "".join(character for character in characters if character.isalpha())
    return next((variant for encoding, variant in _LEGACY_ENCODINGS if _encodes(encoding, han)), "SC")


def _encodes(encoding: str, characters: str) -> bool:
    try:
        characters.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
