"""How the texts of contact sheets are set."""

from collections.abc import Iterable
from dataclasses import dataclass

from attnwatch.render.text.fitting import fit
from attnwatch.render.text.lettering import Lettering
from attnwatch.render.text.measuring import Font

DPI = 200
"""Pixels per inch of a sheet."""

_BLACK, _GREY = "#111111", "#666666"


@dataclass(frozen=True)
class Style:
    """A font, and the colour of its letters."""

    font: Font
    colour: str = _BLACK


TITLE = Style(Font(18, DPI))
HEADING = Style(Font(11, DPI))
LABEL = Style(Font(9, DPI))
NOTE = Style(Font(9, DPI), _GREY)
SMALL = Style(Font(8, DPI), _GREY)


@dataclass(frozen=True)
class Words:
    """A text that fits."""

    lettering: Lettering
    style: Style

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.lettering.width

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.lettering.height


def words(text: str, style: Style, width: float | None = None, lines: int = 1) -> Words:
    """Return a text in lines of at most `width` pixels; what is too much for so many lines is cut."""
    return Words(fit(text, style.font, width=width, lines=lines), style)


def fitted(text: str, style: Style, width: float, height: float) -> Words:
    """Return a text that stays within a width and a height; what is too much is cut."""
    return Words(fit(text, style.font, width=width, height=height), style)


def height_of(texts: Iterable[Words]) -> int:
    """Return the height in pixels of texts below each other."""
    return sum(text.height for text in texts)
