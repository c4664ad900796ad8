"""Which of the installed fonts draw a text: the usual one, and for each script that it lacks the best other one."""

import contextlib
import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from attnwatch.render.text.scripts import CJK, by_script, cjk_variant, script_of

if TYPE_CHECKING:
    from matplotlib.font_manager import FontEntry
    from matplotlib.ft2font import FT2Font

Codepoints = npt.NDArray[np.uint32]

_REGULAR = frozenset({400, "normal", "regular", "book"})
_PLACEHOLDERS = "Last Resort"  # has a box for every character
_PREFERRED = "Noto Sans"  # covers nearly all scripts in one style
_VARIANTS = {"SC": "SC", "CN": "SC", "TC": "TC", "TW": "TC", "HK": "TC", "JP": "JP", "KR": "KR"}
_UNLISTED = frozenset({"Cn", "Co"})  # newer than the list of characters in Python, or for private use
_JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")  # choose the form of a neighbour, and are not drawn


class Face(NamedTuple):
    """A face of a font file, and the family that it belongs to."""

    family: str
    path: str
    face_index: int


def families(text: str) -> tuple[str, ...]:
    """Return the font families to draw a text with, the usual ones first, as matplotlib's `fontfamily` takes them."""
    return (*(face.family for face in _usual()), *fallbacks(text))


def fallbacks(text: str) -> tuple[str, ...]:
    """Return the families that have what the usual ones lack of a text."""
    usual = _usual()
    return tuple(family for group in _unusual(text) for family in _choice(group, usual)[0])


def lacking(text: str) -> str:
    """Return the distinct characters of a text that no installed font can draw."""
    usual = _usual()
    return "".join(_choice(group, usual)[1] for group in _unusual(text))


@lru_cache(maxsize=4096)
def in_one_font(cluster: str, names: tuple[str, ...]) -> bool:
    """Return whether one of some families has a whole cluster; matplotlib never draws a cluster in two fonts."""
    from matplotlib.font_manager import FontProperties, findfont  # noqa: PLC0415 - takes half a second

    drawn = [ord(character) for character in cluster if character.isascii() or _is_drawn(character)]
    found = [findfont(FontProperties(family=[name])) for name in names]
    return any(not _without(np.array(drawn, np.uint32), str(path), _index(path)).size for path in found)


@lru_cache(maxsize=256)
def _unusual(text: str) -> tuple[str, ...]:
    """Return the drawn characters of a text beyond ASCII, which every font has: sorted, one string per script."""
    if text.isascii():
        return ()
    return tuple(by_script(filter(_is_drawn, text)).values())


@lru_cache(maxsize=4096)
def _is_drawn(character: str) -> bool:
    """Return whether a font may lack a character, whose place would show."""
    if character.isascii() or character.isspace() or character in _JOINERS:
        return False
    return character.isprintable() or unicodedata.category(character) in _UNLISTED


@lru_cache(maxsize=1024)
def _choice(characters: str, usual: tuple[Face, ...]) -> tuple[tuple[str, ...], str]:
    """Return the families that have what the usual fonts lack of a script's characters, and what they all lack."""
    private = "".join(character for character in characters if unicodedata.category(character) == "Co")
    wanted = np.array([ord(character) for character in characters if character not in private], np.uint32)
    for face in usual:
        wanted = _without(wanted, face.path, face.face_index)
    chosen: list[str] = []
    while wanted.size:
        best, left = _best(wanted)
        if best is None:
            break
        chosen.append(best.name)
        wanted = left
    return tuple(chosen), "".join(map(chr, wanted.tolist())) + private


def _best(wanted: Codepoints) -> "tuple[FontEntry | None, Codepoints]":
    """Return the first of the fonts that lack fewest of some characters, and what it lacks; None if all lack all."""
    best, left = None, wanted
    for entry in _ordered(wanted):
        lacks = _without(wanted, entry.fname, entry.index)
        if lacks.size < left.size:
            best, left = entry, lacks
        if not lacks.size:
            break
    return best, left


def _ordered(wanted: Codepoints) -> "tuple[FontEntry, ...]":
    """Return the installed fonts, for Chinese characters those of the right country first."""
    characters = "".join(map(chr, wanted.tolist()))
    return _installed_for(cjk_variant(characters)) if script_of(characters[0]) == CJK else _installed()


@cache
def _installed_for(variant: str) -> "tuple[FontEntry, ...]":
    return tuple(sorted(_installed(), key=lambda entry: _distance(entry.name.rpartition(" ")[2], variant)))


def _distance(ending: str, variant: str) -> int:
    """Return how far the characters of a font, whose name ends so, are from those of a country."""
    return 0 if ending == variant else 1 + (_VARIANTS.get(ending, variant) != variant)


def _without(wanted: Codepoints, path: str, index: int) -> Codepoints:
    """Return the characters that a face of a font file lacks."""
    has = _coverage(path, index)
    places = np.minimum(np.searchsorted(has, wanted), max(0, has.size - 1))
    return wanted if not has.size else np.asarray(wanted[has[places] != wanted])


@cache
def _coverage(path: str, index: int) -> Codepoints:
    """Return the characters that a face of a font file can draw, sorted; none if it cannot be read."""
    from matplotlib.ft2font import FaceFlags, FT2Font  # noqa: PLC0415 - takes half a second

    with contextlib.suppress(OSError, RuntimeError, NotImplementedError):
        font = FT2Font(path, face_index=index)
        if FaceFlags.SCALABLE in font.face_flags:
            codes = np.sort(np.fromiter(font.get_charmap(), np.uint32))
            return _with_outlines(font, codes) if FaceFlags.COLOR in font.face_flags else codes
    return np.empty(0, np.uint32)


def _with_outlines(font: "FT2Font", codes: Codepoints) -> Codepoints:
    """Return the characters of a colour font that are more than pictures, which matplotlib cannot draw."""
    from matplotlib.ft2font import LoadFlags  # noqa: PLC0415 - takes half a second

    drawn = [any(font.load_char(code, LoadFlags.NO_SCALE).bbox) for code in codes.tolist()]
    return np.asarray(codes[np.array(drawn, bool)], np.uint32)


def _usual() -> tuple[Face, ...]:
    """Return the fonts that matplotlib uses if it is not told otherwise, which its style may change at any time."""
    import matplotlib as mpl  # noqa: PLC0415 - takes half a second
    from matplotlib.font_manager import FontProperties, findfont  # noqa: PLC0415

    found = [findfont(FontProperties(family=[family])) for family in mpl.rcParams["font.family"]]
    return tuple(_face(str(path), _index(path)) for path in found)


def _index(path: str) -> int:
    """Return the face of a font file that matplotlib has found."""
    return getattr(path, "face_index", 0)


@cache
def _face(path: str, index: int) -> Face:
    from matplotlib.ft2font import FT2Font  # noqa: PLC0415 - takes half a second

    return Face(FT2Font(path, face_index=index).family_name, path, index)


@cache
def _installed() -> "tuple[FontEntry, ...]":
    """Return the upright fonts of regular weight, sans serif first, with those that matplotlib has not listed yet."""
    from matplotlib.font_manager import findSystemFonts, fontManager  # noqa: PLC0415 - takes half a second

    known = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        with contextlib.suppress(OSError, RuntimeError, NotImplementedError):
            fontManager.addfont(path)
    usable = [
        entry
        for entry in fontManager.ttflist
        if entry.weight in _REGULAR and entry.style == "normal" and not entry.name.startswith(_PLACEHOLDERS)
    ]
    return tuple(sorted(usable, key=_rank))


def _rank(entry: "FontEntry") -> tuple[bool, bool, bool, str]:
    name = entry.name
    return "Mono" in name, not name.startswith(_PREFERRED), "Sans" not in name, name
