"""The legend of a combined overlay: a strip with each word beside its hue, drawn once and pasted into every picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import av
import numpy as np
import numpy.typing as npt

from attnwatch.render.colormap import rgb_to_yuv
from attnwatch.render.colours import Colours
from attnwatch.render.combined.hues import hues_rgb
from attnwatch.render.compose import pixels
from attnwatch.render.text.fitting import ELLIPSIS, fit
from attnwatch.render.text.measuring import POINTS_PER_INCH, Font
from attnwatch.tensors.loops import OPAQUE
from attnwatch.tensors.reduction import Float32Array

_PER_EM, _SMALL_EM = 30, 10  # pixels of the picture's shorter side for each of the size of letters; and at least
_SMALLER = 0.8  # size of letters, as a share of the usual one, if that lets words stay whole
_LINE, _GAP, _PADDING, _MARGIN = 1.5, 1.0, 0.4, 0.5  # in em
_SWATCH, _INDENT = 0.9, 1.3  # in em: side of the square, and distance from its left to that of the word
_SHADE = 0.6  # opacity of the black strip
_HEIGHTS = (0.25, 0.42)  # of the strip, at most, as shares of the picture's; the second only for small pictures
_COLUMNS = (1, 2, 3)  # words beside each other at least; they are shortened to that if they would need too many lines


class Legend:
    """A strip at the lower left of pictures; none if they are too small for it.

    Args:
        texts: the words, in the order of the hues.
        size: width and height of the pictures.
        colours: their colours.

    """

    def __init__(self, texts: Sequence[str], size: tuple[int, int], colours: Colours) -> None:
        self._planes: list[tuple[slice, slice, npt.NDArray[np.uint16], npt.NDArray[np.uint16]]] = []
        em, lines = _fitted(texts, size)
        if not lines:
            return
        opacity, rgb = _drawn(lines, em, hues_rgb(len(texts)))
        height, width = opacity.shape
        left, top = _even(_MARGIN * em), size[1] // 2 * 2 - height - _even(_MARGIN * em)
        for number, part in enumerate((1, 2, 2)):
            seen = _reduced(opacity, part)
            weights = np.rint(seen * OPAQUE).astype(np.uint16)
            plane = rgb_to_yuv(_reduced(opacity[..., None] * rgb, part) / seen[..., None], colours)[number]
            rows = slice(top // part, (top + height) // part)
            columns = slice(left // part, (left + width) // part)
            self._planes.append((rows, columns, OPAQUE - weights, weights * plane + np.uint16(OPAQUE // 2)))

    @property
    def is_drawn(self) -> bool:
        """Whether the pictures are large enough for it."""
        return bool(self._planes)

    def paste(self, picture: av.VideoFrame) -> None:
        """Draw the legend into a picture."""
        for plane, (rows, columns, kept, added) in zip(picture.planes, self._planes, strict=False):
            below = pixels(plane)[rows, columns]
            np.right_shift(kept * below + added, 8, out=below, casting="unsafe")


@lru_cache(maxsize=4)
def legend(texts: tuple[str, ...], size: tuple[int, int], colours: Colours) -> Legend:
    """Return the legend for pictures of a size; see `Legend`."""
    return Legend(texts, size, colours)


@dataclass(frozen=True)
class _Entry:
    """A word and its hue: number of the hue, and how much of each pixel its letters cover, `[height, width]`, 0..1."""

    number: int
    letters: Float32Array

    def width(self, em: int) -> int:
        return round(_INDENT * em) + int(self.letters.shape[1])


def _fitted(texts: Sequence[str], size: tuple[int, int]) -> tuple[int, list[list[_Entry]]]:
    """Return the size of letters, and the entries of each line; none if there is no room for them."""
    usual = max(_SMALL_EM, round(min(size) / _PER_EM))
    for share, columns, em in product(_HEIGHTS, _COLUMNS, (usual, round(_SMALLER * usual))):
        lines = _lines(texts, size[0] - 2 * round((_MARGIN + _PADDING) * em), em, columns)
        if lines and len(lines) * _LINE * em <= share * size[1]:
            return em, lines
    return usual, []


def _lines(texts: Sequence[str], width: int, em: int, columns: int) -> list[list[_Entry]]:
    """Return the entries in lines of at most a width in pixels, short enough for some columns; none if one is empty."""
    room = (width - round(_GAP * em) * (columns - 1)) // columns - round(_INDENT * em)
    if room < em:
        return []
    words = [fit(text, Font(em, dpi=POINTS_PER_INCH), width=room, lines=1) for text in texts]
    if any(word.text in ("", ELLIPSIS) for word in words):
        return []
    return list(_flowed([_Entry(number, word.ink()) for number, word in enumerate(words)], width, em))


def _flowed(entries: Sequence[_Entry], width: int, em: int) -> Iterator[list[_Entry]]:
    """Yield the entries in lines of at most a width in pixels."""
    line: list[_Entry] = []
    used = 0
    for entry in entries:
        wide = entry.width(em)
        if line and used + round(_GAP * em) + wide > width:
            yield line
            line, used = [], 0
        used += wide + round(_GAP * em) * bool(line)
        line.append(entry)
    yield line


def _drawn(
    lines: Sequence[Sequence[_Entry]], em: int, hues: npt.NDArray[np.float64]
) -> tuple[Float32Array, npt.NDArray[np.float64]]:
    """Return the opacity of the strip, `[height, width]`, and its colours, `[height, width, 3]`, 0..1."""
    padding, gap, pitch = round(_PADDING * em), round(_GAP * em), round(_LINE * em)
    widest = max(sum(entry.width(em) + gap for entry in line) - gap for line in lines)
    height, width = _even(len(lines) * pitch + padding), _even(widest + 2 * padding)
    opacity = np.full((height, width), _SHADE, np.float32)
    rgb = np.zeros((height, width, 3))
    side, indent = round(_SWATCH * em), round(_INDENT * em)
    for index, line in enumerate(lines):
        left, middle = padding, padding // 2 + index * pitch + pitch // 2
        for entry in line:
            swatch = slice(middle - side // 2, middle - side // 2 + side), slice(left, left + side)
            opacity[swatch], rgb[swatch] = 1, hues[entry.number]
            high, wide = entry.letters.shape
            top = max(0, middle - high // 2)
            written = slice(top, top + high), slice(left + indent, left + indent + wide)
            letters = entry.letters[: height - top]
            opacity[written] = _SHADE + (1 - _SHADE) * letters
            rgb[written] = (letters / opacity[written])[..., None]  # white over black, each with its share of opacity
            left += entry.width(em) + gap
    return opacity, rgb


def _reduced(values: npt.NDArray[np.floating], part: int) -> npt.NDArray[np.float64]:
    """Return the means of squares of `part` by `part` pixels."""
    height, width, *channels = values.shape
    return np.asarray(values.reshape(height // part, part, width // part, part, *channels).mean(axis=(1, 3)))


def _even(size: float) -> int:
    return -(-round(size) // 2) * 2
