"""Text that is safe to draw: one line, no control characters, and no effect on the direction of what is around it."""

import itertools
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from attnwatch.render.text.clusters import SKIN_TONES, ZWJ, is_mark

LEFT_TO_RIGHT_ISOLATE, RIGHT_TO_LEFT_ISOLATE, POP_ISOLATE = "\u2066", "\u2067", "\u2069"
ISOLATES = frozenset({LEFT_TO_RIGHT_ISOLATE, RIGHT_TO_LEFT_ISOLATE})
LEFT_TO_RIGHT, RIGHT_TO_LEFT = "\u200e", "\u200f"
NO_BREAK = frozenset("\u00a0\u202f\u2007\u2060")  # blanks, and a joiner, at which no line ends
ZERO_WIDTH_SPACE = "\u200b"
BLANKS = " " + ZERO_WIDTH_SPACE  # the only ones in a plain text at which a line ends
_KEPT = frozenset({ZERO_WIDTH_SPACE, "\u2060", "\u200c", ZWJ, LEFT_TO_RIGHT, RIGHT_TO_LEFT, "\u061c"})
_VISIBLE = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2")
_MOST_MARKS = 4  # on one letter; more would reach over other lines
_RIGHT_TO_LEFT_CLASSES = frozenset({"R", "AL", "AN"})
_STRONG = frozenset({"L", "R", "AL"})


def plain(text: str) -> str:
    """Return a text in one line without control characters, bidirectional overrides and piled-up marks.

    White space becomes single blanks. Skin tones are left out, since emoji are drawn in black. Half of a surrogate
    pair, which no file can hold, becomes U+FFFD.
    """
    return _tidied(text, isolates=False)


def isolated(text: str) -> str:
    """Return a plain text for the inside of a sentence, of which it must not change the order.

    A right-to-left text gets marks around it, which are not drawn: “word” in “prompt” is then still read from the left.
    """
    inner = plain(text)
    if not _has_right_to_left(inner):
        return inner
    return f"{RIGHT_TO_LEFT_ISOLATE if is_right_to_left(inner) else LEFT_TO_RIGHT_ISOLATE}{inner}{POP_ISOLATE}"


def quoted(text: str) -> str:
    """Return a text in quotation marks, `isolated`."""
    return f"“{isolated(text)}”"


def composed(text: str) -> str:
    """Return a text like `plain`, but with the marks that `isolated` put around its parts, each of them closed."""
    tidied = _tidied(text, isolates=True)
    if tidied.isascii():
        return tidied
    kept: list[str] = []
    depth = 0
    for character in tidied:
        depth += (character in ISOLATES) - (character == POP_ISOLATE)
        if depth >= 0:
            kept.append(character)
        depth = max(0, depth)
    return "".join(kept) + POP_ISOLATE * depth


def closed(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines of a composed text with isolated parts that end with each line and begin again on the next."""
    opened: list[str] = []
    for line in lines:
        before = "".join(opened)
        for character in line:
            if character in ISOLATES:
                opened.append(character)
            elif character == POP_ISOLATE and opened:
                opened.pop()
        yield before + line + POP_ISOLATE * len(opened)


def is_right_to_left(text: str) -> bool:
    """Return whether a text is read from the right: whether its first letter outside of isolated parts is."""
    return _first_strong(text) in {"R", "AL"}


def directed(text: str, *, right_to_left: bool) -> str:
    """Return a line that is laid out in a direction, whatever its first letter is."""
    found = _first_strong(text)
    if right_to_left == (found in {"R", "AL"}):
        return text
    return (RIGHT_TO_LEFT if right_to_left else LEFT_TO_RIGHT) + text


def _first_strong(text: str) -> str:
    depth = 0
    for character in text:
        if character in ISOLATES:
            depth += 1
        elif character == POP_ISOLATE:
            depth = max(0, depth - 1)
        elif depth == 0 and (found := unicodedata.bidirectional(character)) in _STRONG:
            return found
    return ""


def _has_right_to_left(text: str) -> bool:
    return not text.isascii() and not _RIGHT_TO_LEFT_CLASSES.isdisjoint(map(unicodedata.bidirectional, text))


def _tidied(text: str, *, isolates: bool) -> str:
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kept = "".join(map(_drawable_or_isolate if isolates else _drawable, text))
    line = unicodedata.normalize("NFC", " ".join(part for part in kept.split(" ") if part))
    return _without_excess(line) if any(map(_is_nonspacing, line)) else line


def _drawable_or_isolate(character: str) -> str:
    return character if character in ISOLATES or character == POP_ISOLATE else _drawable(character)


@lru_cache(maxsize=4096)
def _drawable(character: str) -> str:
    """Return a character, what stands for it, or nothing if it is not to be drawn."""
    category = unicodedata.category(character)
    if character.isspace() and character not in NO_BREAK:
        return " "
    if category == "Cs":
        return "\ufffd"
    if category == "Cc" or SKIN_TONES[0] <= character <= SKIN_TONES[1]:
        return ""
    return character if category != "Cf" or character in _KEPT or character in _VISIBLE or is_mark(character) else ""


def _without_excess(text: str) -> str:
    """Return a text with at most so many marks on a letter as there are in real words."""
    runs = itertools.groupby(text, _is_nonspacing)
    return "".join("".join(itertools.islice(run, _MOST_MARKS)) if marks else "".join(run) for marks, run in runs)


@lru_cache(maxsize=4096)
def _is_nonspacing(character: str) -> bool:
    """Return whether a character is a mark that takes no room of its own in the line."""
    return unicodedata.category(character) in {"Mn", "Me"}
