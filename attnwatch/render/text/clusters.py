"""What a reader takes for one character: a letter with its marks, a syllable, an emoji of several code points.

The rules are those of Unicode's UAX #29 as far as the data in Python's unicodedata tells; nothing else may be cut.
"""

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

SKIN_TONES = ("\U0001f3fb", "\U0001f3ff")
ZWJ = "\u200d"
_ZWNJ = "\u200c"
_VIRAMA = 9  # combining class of the signs that join two consonants
_MARKS = frozenset({"Mn", "Me", "Mc"})
_PREPENDED = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2")  # signs around the number that follows
_KHMER_SIGN = "\u17d2"


def clusters(text: str) -> Iterator[str]:
    """Yield the grapheme clusters of a text; joined, they are the text."""
    cluster = ""
    for character in text:
        if cluster and _continues(cluster, character):
            cluster += character
        else:
            if cluster:
                yield cluster
            cluster = character
    if cluster:
        yield cluster


@lru_cache(maxsize=4096)
def is_mark(character: str) -> bool:
    """Return whether a character is drawn onto the one before it, or changes how that is drawn."""
    return (
        unicodedata.category(character) in _MARKS
        or character in {ZWJ, _ZWNJ}
        or SKIN_TONES[0] <= character <= SKIN_TONES[1]
        or "\U000e0020" <= character <= "\U000e007f"  # tags, as in the flags of Scotland and Wales
    )


def _continues(cluster: str, character: str) -> bool:
    """Return whether a character belongs to the cluster before it."""
    last = cluster[-1]
    if character.isascii() or last in "\n\r":
        return False
    if is_mark(character):
        return not last.isspace()
    if last in _PREPENDED:
        return True
    if last == ZWJ:
        return _is_symbol(character) or _joins(cluster.rstrip(ZWJ)[-1:], character)
    if _is_regional(character):
        return len(cluster) == 1 and _is_regional(last)
    return _joins(last, character) or _is_hangul_tail(last, character)


def _joins(sign: str, character: str) -> bool:
    """Return whether a sign joins a consonant to the one before it, as in Indic conjuncts."""
    joined = bool(sign) and (unicodedata.combining(sign) == _VIRAMA or sign == _KHMER_SIGN)
    return joined and unicodedata.category(character) == "Lo"


def _is_symbol(character: str) -> bool:
    return unicodedata.category(character) in {"So", "Sm", "Cn"}


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_hangul_tail(last: str, character: str) -> bool:
    """Return whether a vowel or final consonant completes a Korean syllable written as single letters."""
    return "\u1160" <= character <= "\u11ff" and ("\u1100" <= last <= "\u11ff" or "\uac00" <= last <= "\ud7a3")
