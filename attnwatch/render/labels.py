"""Text on figures and contact sheets, in any script: fonts that have its characters, and lines of the right width."""

import contextlib
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells

if TYPE_CHECKING:
    from matplotlib.font_manager import FontEntry

_ELLIPSIS = " …"
_REGULAR = frozenset({400, "normal", "regular", "book"})
_PLACEHOLDERS = "Last Resort"  # has a box for every character
_MOST_NAMED = 5


def font_of(text: str) -> list[str] | None:
    """Return the font families to draw a text with, the usual one first; None if that has all of its characters."""
    families, _ = _fallbacks(_unusual(text))
    if not families:
        return None
    import matplotlib as mpl  # noqa: PLC0415 - only for figures

    return [*mpl.rcParams["font.family"], *families]


def glyph_note(text: str) -> str | None:
    """Return which characters of a text no installed font has, and the remedy; None if there are none."""
    _, missing = _fallbacks(_unusual(text))
    if not missing:
        return None
    named = "".join(missing[:_MOST_NAMED]) + ("…" if len(missing) > _MOST_NAMED else "")
    return (
        f"labels show boxes: no installed font has {named} ({len(missing):,} characters); install one, such as "
        f"{_package(missing)}"
    )


def shortened(text: str, most: int) -> str:
    """Return a text in one line of at most `most` columns; wide characters take two. It is cut between words."""
    line = " ".join(text.split())
    if cell_len(line) <= most:
        return line
    start = chop_cells(line, most - len(_ELLIPSIS))[0]
    words = start if line[len(start)] == " " else start.rpartition(" ")[0]
    # A word that fills half of the line may be a whole sentence in a script without spaces.
    return (words if cell_len(words) > most / 2 else start).rstrip() + _ELLIPSIS


def wrapped(text: str, width: int) -> str:
    """Break a text into lines of at most `width` columns, between words or between wide characters."""
    lines = [""]
    for part in _unbreakable(text, width):
        if cell_len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part if lines[-1] else part.lstrip()
    return "\n".join(line.rstrip() for line in lines)


def fitted(text: str, width: int, lines: int) -> str:
    """Return a text in at most `lines` lines of at most `width` columns. What is too much is cut between words."""
    whole = wrapped(shortened(text, width * lines), width).split("\n")
    if len(whole) <= lines:
        return "\n".join(whole)
    return "\n".join([*whole[: lines - 1], shortened(" ".join(whole[lines - 1 :]), width)])


def is_wide(text: str) -> bool:
    """Return whether a text has characters of double width, between which lines may be broken."""
    return cell_len(text) > len(text)


def _unbreakable(text: str, width: int) -> Iterator[str]:
    """Yield the parts of a text that stay together: a word, or a wide character, with what must not begin a line."""
    part = ""
    for character in text:
        if part and character != " " and _may_break(part[-1], character):
            yield from chop_cells(part, width)
            part = ""
        part += character
    yield from chop_cells(part, width)


def _may_break(before: str, after: str) -> bool:
    closing = unicodedata.category(after) in {"Pe", "Pf", "Po"}
    return before == " " or (not closing and max(cell_len(before), cell_len(after)) > 1)


def _unusual(text: str) -> str:
    """Return the distinct characters of a text that a font may lack, in order."""
    return "".join(sorted({character for character in text if ord(character) > 127 and character.isprintable()}))  # noqa: PLR2004 - ASCII


@lru_cache(maxsize=256)
def _fallbacks(characters: str) -> tuple[tuple[str, ...], str]:
    """Return the families that have what the usual font lacks of some characters, and what they all lack."""
    if not characters:
        return (), ""
    from matplotlib.font_manager import FontProperties, findfont  # noqa: PLC0415 - only for figures

    missing = _lacking(findfont(FontProperties()), characters)
    families: list[str] = []
    while missing:
        best = min(_installed(), key=lambda entry: len(_lacking(entry.fname, missing)), default=None)
        left = missing if best is None else _lacking(best.fname, missing)
        if best is None or left == missing:
            break
        families.append(best.name)
        missing = left
    return tuple(families), missing


def _lacking(path: str, characters: str) -> str:
    """Return the characters that a font file lacks."""
    from matplotlib.font_manager import get_font  # noqa: PLC0415 - only for figures

    try:
        font = get_font(path)
    except (OSError, RuntimeError):
        return characters
    if not font.scalable:
        return characters
    return "".join(character for character in characters if not font.get_char_index(ord(character)))


@cache
def _installed() -> tuple["FontEntry", ...]:
    """Return the upright fonts of regular weight, sans serif first, with those that matplotlib has not listed yet."""
    from matplotlib.font_manager import findSystemFonts, fontManager  # noqa: PLC0415 - only for figures

    known = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        with contextlib.suppress(OSError, RuntimeError):
            fontManager.addfont(path)
    usable = [
        entry
        for entry in fontManager.ttflist
        if entry.weight in _REGULAR and entry.style == "normal" and not entry.name.startswith(_PLACEHOLDERS)
    ]
    return tuple(sorted(usable, key=lambda entry: ("Sans" not in entry.name, "Mono" in entry.name, entry.name)))


def _package(characters: str) -> str:
    """Return fonts to install for some characters, by the name of the first one's script."""
    script = unicodedata.name(characters[0], "").partition(" ")[0]
    cjk = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "FULLWIDTH", "IDEOGRAPHIC"}
    return "Noto Sans CJK (Debian: apt install fonts-noto-cjk)" if script in cjk else "Noto (Debian: fonts-noto-core)"
