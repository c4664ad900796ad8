"""Which fonts to install for characters that no installed font has."""

from dataclasses import dataclass

from attnwatch.render.text.fonts import lacking
from attnwatch.render.text.plain import plain
from attnwatch.render.text.scripts import CJK, SYMBOLS, script_of

_MOST_NAMED = 5
_FONTS = {CJK: ("Noto Sans CJK", "fonts-noto-cjk"), SYMBOLS: ("Noto Emoji or Symbola", "fonts-symbola")}
_OTHER_FONTS = ("Noto Sans", "fonts-noto-core")


@dataclass(frozen=True)
class MissingGlyphs:
    """Characters that are drawn as □ because no installed font has them.

    Args:
        characters: the characters, each once.

    """

    characters: str

    @property
    def found(self) -> str:
        """What is missing."""
        named = "".join(self.characters[:_MOST_NAMED]) + ("…" if len(self.characters) > _MOST_NAMED else "")
        count = f"{len(self.characters):,} character{'' if len(self.characters) == 1 else 's'}"
        return f"labels show □ for {count} that no installed font has ({named})"

    @property
    def remedy(self) -> str:
        """What to install. It is the same for all texts of a script."""
        wanted = dict.fromkeys(_FONTS.get(script_of(character), _OTHER_FONTS) for character in self.characters)
        names = " and ".join(name for name, _ in sorted(wanted))
        packages = " ".join(package for _, package in sorted(wanted))
        return f"install {names} (Debian: apt install {packages})"

    def __str__(self) -> str:
        return f"{self.found}; {self.remedy}"


def missing_glyphs(text: str) -> MissingGlyphs | None:
    """Return which characters of a text no installed font has; None if there are none."""
    characters = lacking(plain(text))
    return MissingGlyphs(characters) if characters else None
