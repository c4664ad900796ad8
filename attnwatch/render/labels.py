"""Text on figures and contact sheets, in any script: fonts that have its characters, and lines of the right width."""

import unicodedata
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells

from attnwatch.render.text.fonts import fallbacks, families
from attnwatch.render.text.missing import missing_glyphs

_ELLIPSIS = " …"


def font_of(text: str) -> list[str] | None:
    """Return the font families to draw a text with, the usual one first; None if that has all of its characters."""
    return list(families(text)) if fallbacks(text) else None


def glyph_note(text: str) -> str | None:
    """Return which characters of a text no installed font has, and the remedy; None if there are none."""
    missing = missing_glyphs(text)
    return None if missing is None else str(missing)


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
