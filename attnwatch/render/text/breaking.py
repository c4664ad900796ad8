"""Where a line of text may end: after blanks and hyphens, and between characters of scripts written without blanks.

The classes follow Unicode's UAX #14: no line begins with a closing mark or a small kana, and none ends with an opening
one. Korean breaks at its blanks. For Thai, Lao, Khmer and Burmese, which need a dictionary, see `syllables`.
"""

import unicodedata
from collections.abc import Iterator
from enum import IntEnum, auto
from functools import cache, lru_cache

from attnwatch.render.text.clusters import clusters
from attnwatch.render.text.plain import ISOLATES, NO_BREAK, POP_ISOLATE, ZERO_WIDTH_SPACE

_HYPHENS = frozenset("-\u2010\u2013\u2014/")
_AFTER = frozenset("\u0964\u0965\u0f0b\u1361\u17d4\u17d5\u104a\u104b")  # dandas, tsheg and other signs that end a word
_OPENING = frozenset("¿¡#@§№$€£¥￥＄￡（「『")
_MARKS_THAT_CLOSE = frozenset(
    ",.;:!?%‰…‥·、。，．：；？！％｡､・･ー々〻〜～゠℃℉°′″"  # marks
    "ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿゝゞヽヾ"  # small kana, repetition
)
_LEADING_VOWELS = frozenset("เแโใไເແໂໃໄ")  # written before the consonant that they follow in speech
_FOLLOWING_VOWELS = frozenset("ะาำๅๆฯะາຳໆຯ")


class _Class(IntEnum):
    LETTER = auto()
    DIGIT = auto()
    WIDE = auto()
    BLANK = auto()
    GLUE = auto()
    HYPHEN = auto()
    AFTER = auto()
    OPENING = auto()
    CLOSING = auto()
    WIDE_CLOSING = auto()
    QUOTE = auto()


def pieces(text: str) -> Iterator[str]:
    """Yield the parts of a text after which a line may end, with their blanks; joined, they are the text."""
    piece = ""
    before, last = _Class.BLANK, _Class.BLANK
    for cluster in clusters(text):
        found = _class_of(cluster[0])
        if piece and _may_break(before, last, found):
            yield piece
            piece = ""
        piece += cluster
        before, last = last, found
    if piece:
        yield piece


def syllables(text: str) -> Iterator[str]:
    """Yield the parts of a text after which a line may end if it must: clusters, or a Thai or Lao syllable."""
    syllable = before = ""
    for part in clusters(text):
        if before and before[0] not in _LEADING_VOWELS and part[0] not in _FOLLOWING_VOWELS:
            yield syllable
            syllable = ""
        syllable += part
        before = part
    if syllable:
        yield syllable


@cache
def _may_break(earlier: _Class, before: _Class, after: _Class) -> bool:
    """Return whether a line may end between two clusters; `earlier` is the one before them."""
    if after in _NEVER_FIRST or before is _Class.GLUE:
        return False
    if before in {_Class.BLANK, _Class.AFTER}:
        return True
    if before is _Class.OPENING or _Class.QUOTE in {before, after}:
        return False
    if before is _Class.HYPHEN:
        within = earlier in {_Class.LETTER, _Class.DIGIT, _Class.WIDE}
        return after is _Class.WIDE or (within and after in {_Class.LETTER, _Class.OPENING})
    if before is _Class.CLOSING and after is _Class.OPENING:
        return True
    return (before in {_Class.WIDE, _Class.WIDE_CLOSING} and after is not _Class.HYPHEN) or after is _Class.WIDE


@lru_cache(maxsize=4096)
def _class_of(first: str) -> _Class:
    """Return the class of a cluster by its first character."""
    for characters, found in _LISTED:
        if first in characters:
            return found
    category = unicodedata.category(first)
    is_wide = unicodedata.east_asian_width(first) in "WFH" and not _is_hangul(first)
    if first in _MARKS_THAT_CLOSE or category in {"Pe", "Pf"}:
        return _Class.WIDE_CLOSING if is_wide else _Class.CLOSING
    if category in {"Ps", "Pi"}:
        return _Class.OPENING
    if first.isspace():
        return _Class.BLANK
    if category == "Nd":
        return _Class.DIGIT
    return _Class.WIDE if is_wide or category == "So" else _Class.LETTER


def _is_hangul(character: str) -> bool:
    return unicodedata.name(character, "").startswith("HANGUL")


_NEVER_FIRST = frozenset({_Class.BLANK, _Class.GLUE, _Class.CLOSING, _Class.WIDE_CLOSING})
_LISTED = (
    (NO_BREAK, _Class.GLUE),
    (frozenset(ZERO_WIDTH_SPACE), _Class.BLANK),
    (_HYPHENS, _Class.HYPHEN),
    (_AFTER, _Class.AFTER),
    (_OPENING | ISOLATES, _Class.OPENING),
    (frozenset(POP_ISOLATE), _Class.CLOSING),
    (frozenset("\"'"), _Class.QUOTE),
)
