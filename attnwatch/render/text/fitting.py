"""Makes a text fit into a width, a height and a number of lines."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from attnwatch.render.text.breaking import pieces, syllables
from attnwatch.render.text.clusters import clusters
from attnwatch.render.text.fonts import families, in_one_font, lacking
from attnwatch.render.text.lettering import Lettering
from attnwatch.render.text.measuring import Font, extent
from attnwatch.render.text.plain import BLANKS, closed, composed, directed, is_right_to_left

ELLIPSIS = "…"
PLACEHOLDER = "□"  # for what no font has
_LONG = 60  # characters without a place to break
_LEFT_OUT = " ,;:，、；：-–—("  # does not stand before an ellipsis


def fit(
    text: str,
    font: Font,
    *,
    width: float | None = None,
    height: float | None = None,
    lines: int | None = None,
    balanced: bool = False,
) -> Lettering:
    """Return a text as lines that stay within a width and a height. What is too much is cut, with an ellipsis.

    Lines end between words or, in scripts without blanks, between characters; a word is divided if it is wider than a
    line. Line breaks, control characters and overrides of direction in the text are taken out; “$” is a dollar sign.
    Characters that no installed font has are drawn as □; `missing_glyphs` tells which.

    Args:
        text: the text.
        font: how it is set.
        width: the most pixels that a line may be wide; None for one line of any width.
        height: the most pixels that all lines may be high; None for any height.
        lines: the most lines; None for any number.
        balanced: whether lines are about equally long, as in titles, instead of full up to the last one.

    Returns:
        The lines, with their size in pixels; none if not even one letter has room.

    """
    asked = composed(text)
    names = families(asked + ELLIPSIS + PLACEHOLDER)
    drawn = _drawable(asked, names)
    setter = _Setter(font, names, math.inf if width is None else width - 2 * font.overhang)
    most = math.inf if lines is None else lines
    if height is not None:
        most = min(most, height // Lettering(("",), font, setter.families).pitch)
    lettering = setter.set(drawn, most)
    while height is not None and lettering.height > height:  # letters reach higher or lower than those of most scripts
        lettering = setter.set(drawn, len(lettering.lines) - 1)
    return setter.balanced(drawn, lettering) if balanced else lettering


@dataclass(frozen=True)
class _Setter:
    """Breaks and cuts text in one font, in a room of so many pixels."""

    font: Font
    families: tuple[str, ...]
    room: float

    def set(self, text: str, most: float) -> Lettering:
        """Return a text in at most so many lines."""
        right_to_left = is_right_to_left(text)
        found, is_cut = self._limited(text, most)
        lines = tuple(
            directed(line, right_to_left=right_to_left) for line in closed(line.strip(BLANKS) for line in found)
        )
        lettering = Lettering(lines, self.font, self.families, right_to_left, is_cut)
        fits = lettering.width - 2 * self.font.overhang <= self.room
        return lettering if fits or not lines else replace(lettering, lines=(), is_cut=True)

    def balanced(self, text: str, full: Lettering) -> Lettering:
        """Return a text in as many lines as it was set in, whose longest one is as short as can be."""
        if full.is_cut or len(full.lines) < 2:  # noqa: PLR2004 - nothing to balance
            return full
        least = max((wide for wide in map(self._width, pieces(text)) if wide <= self.room), default=0)
        best, low, high = full, math.floor(least), full.width - 2 * self.font.overhang
        while high - low > 1:
            room = (low + high) // 2
            narrower = replace(self, room=room).set(text, len(full.lines) + 1)
            if len(narrower.lines) == len(full.lines):
                best, high = narrower, room
            else:
                low = room
        return best

    def _limited(self, text: str, most: float) -> tuple[list[str], bool]:
        """Return at most so many lines of a text, and whether its end was left out."""
        if not text or most < 1:
            return [], bool(text)
        if math.isinf(most):
            return list(self._broken(text)), False
        found = list(itertools.islice(self._broken(text), int(most) + 1))
        if len(found) <= most:
            return found, False
        kept = found[: int(most) - 1]
        return [*kept, self._cut(text[sum(map(len, kept)) :])], True

    def _broken(self, text: str) -> Iterator[str]:
        """Yield the lines of a text; joined, they are the text. One is too wide only if its first syllable is."""
        line, used = "", 0.0
        for piece in pieces(text):
            wide = self._width(piece)
            if line and used + wide > self.room and (wide <= self.room or used > self.room / 2):
                yield line
                line, used = "", 0.0
            *whole, rest = [piece] if used + wide <= self.room else self._divided(piece, self.room - used, not line)
            for part in whole:
                yield line + part
                line, used = "", 0.0
            line += rest
            used += self._advance(rest)
        if line:
            yield line

    def _divided(self, piece: str, room: float, is_first: bool) -> Iterator[str]:
        """Yield the parts of a piece wider than a line; the first has a room of its own, and may be empty."""
        part, used = "", 0.0
        for syllable in syllables(piece):
            wide = self._width(syllable)
            if used + wide > room and (part or not is_first):
                yield part
                part, used, room, is_first = "", 0.0, self.room, True
            part += syllable
            used += wide
        yield part

    def _cut(self, text: str) -> str:
        """Return the start of a text in one line, between words if they fill half of it, and an ellipsis."""
        left = self.room - self._width(ELLIPSIS)
        start, used = "", 0.0
        for piece in pieces(text):
            if used + self._width(piece) > left:
                start += next(self._divided(piece, left - used, not start)) if used < left / 2 else ""
                break
            start += piece
            used += self._advance(piece)
        return start.rstrip(_LEFT_OUT) + ELLIPSIS

    def _width(self, piece: str) -> float:
        """Return the width of a piece at the end of a line, where blanks do not count."""
        return self._advance(piece.rstrip(BLANKS))

    def _advance(self, piece: str) -> float:
        """Return the width of a piece; of a very long one, which must be divided, that of its clusters."""
        if len(piece) <= _LONG:
            return extent(piece, self.font, self.families).width
        return sum(extent(cluster, self.font, self.families).width for cluster in clusters(piece))


def _drawable(text: str, names: tuple[str, ...]) -> str:
    """Return a text with a box for each cluster that no font has, without marks that its font lacks."""
    if text.isascii():
        return text
    missing = frozenset(lacking(text))
    return "".join(cluster if cluster.isascii() else _drawn(cluster, names, missing) for cluster in clusters(text))


def _drawn(cluster: str, names: tuple[str, ...], missing: frozenset[str]) -> str:
    if cluster[0] in missing:
        return PLACEHOLDER
    kept = cluster if missing.isdisjoint(cluster) else "".join(mark for mark in cluster if mark not in missing)
    while len(kept) > 1 and not in_one_font(kept, names):
        kept = kept[:-1]
    return kept
