"""Lays a map over the source video, in the codec's own colour space: weighted, uniform, as contours or as a spotlight.

Each style is a pair of tables, a colour and its weight, for each of 256 levels:
`(1 - weight) * source + weight * colour`, per plane.
"""

from collections.abc import Sequence
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt

from attnwatch.render.colormap import BLACK, LEVELS, WHITE, UInt8Array, YuvTables
from attnwatch.render.colours import PIXEL_FORMAT
from attnwatch.render.compose import FINE_LEVELS, Enlarged, pixels
from attnwatch.settings import OverlayStyle
from attnwatch.tensors.loops import OPAQUE, tint
from attnwatch.tensors.reduction import Float32Array

CONTOURS = (0.25, 0.5, 0.75)
"""Shares of the scale at which contours are drawn."""

_BRIGHT = 126  # luma from which black is farther than white
_SHADES = (LEVELS - 1) // (2 * len(CONTOURS))  # degrees in which a line, or its outline, covers a pixel
_THINNEST, _LINES_PER_PIXEL = 1.5, 200  # width of a line in pixels, and lines of video for each pixel of it
_THINNEST_OUTLINE = 2.0  # pixels, on both sides together
_BAND = 32  # rows at a time, an even number: what it takes to find the lines is dozens of bytes per pixel
_FLAT = 1e-4  # slope per pixel below which a map is a plain, on which no line is drawn


class Overlay(Protocol):
    """A way to show a map over a video."""

    def over(self, source: av.VideoFrame, enlarged: Enlarged) -> av.VideoFrame:
        """Return a new frame of the map's size, from a source that is at least as large."""


def overlay(style: OverlayStyle, tables: YuvTables, alpha: float, *, inverted: bool) -> Overlay:
    """Return an overlay.

    Args:
        style: `weighted`, `uniform`, `contour` or `spotlight`.
        tables: the colormap.
        alpha: weight of the colour where it is largest, 0..1.
        inverted: whether level 0 is the highest attention instead of the lowest.

    """
    attention = np.linspace(1, 0, LEVELS) if inverted else np.linspace(0, 1, LEVELS)
    match style:
        case "weighted":
            return _Tinted(tables, alpha * attention)
        case "uniform":
            return _Tinted(tables, np.full(LEVELS, alpha))
        case "spotlight":
            return _Tinted(YuvTables(*(bytes([value]) * LEVELS for value in BLACK)), alpha * (1 - attention))
        case "contour":
            return _Contours(tables, alpha, [1 - share if inverted else share for share in CONTOURS])


class _Tinted:
    """Lays a colour over each pixel that depends on its level.

    Args:
        tables: the colour of each level.
        weights: its weight, 0..1, `[256]`.

    """

    def __init__(self, tables: YuvTables, weights: npt.NDArray[np.float64]) -> None:
        self._tables = tables
        self._weights = np.rint(weights * OPAQUE).astype(np.uint16).tobytes()

    def over(self, source: av.VideoFrame, enlarged: Enlarged) -> av.VideoFrame:
        return self.tinted(source, enlarged.greys)

    def tinted(self, source: av.VideoFrame, levels: Sequence[UInt8Array]) -> av.VideoFrame:
        """Lay the colours over the source, given the level of each pixel of each plane."""
        height, width = levels[0].shape
        result = av.VideoFrame(width, height, PIXEL_FORMAT)
        planes = zip(source.planes, levels, result.planes, self._tables.planes, strict=True)
        for below, grey, plane, table in planes:
            target = pixels(plane)
            rows, columns = target.shape
            tint(target, pixels(below)[:rows, :columns], grey, table, self._weights)
        return result


class _Contours:
    """Draws antialiased lines of equal attention in the colours of their levels, outlined to be seen on all footage.

    The outline of a dark colour is white, that of a bright one black. A level of the tables tells which line is near,
    and how much of a pixel its outline covers or, where the line itself is, how much of the outline the line covers.
    """

    def __init__(self, tables: YuvTables, alpha: float, shares: Sequence[float]) -> None:
        levels = [round(share * (LEVELS - 1)) for share in shares]
        outlines = [BLACK if tables.y[level] >= _BRIGHT else WHITE for level in levels]
        coverage = np.arange(1, _SHADES + 1) / _SHADES
        planes = []
        for plane, table in enumerate(tables.planes):
            around = np.array([outline[plane] for outline in outlines], np.float64)[:, None]
            lines = np.array([table[level] for level in levels], np.float64)[:, None]
            near = np.hstack([around + 0 * coverage, around + (lines - around) * coverage])
            planes.append(np.rint([0, *near.flat]).astype(np.uint8).tobytes().ljust(LEVELS, b"\0"))
        weights = np.zeros(LEVELS)
        weights[1 : 1 + 2 * _SHADES * len(shares)] = np.tile([*coverage, *np.ones(_SHADES)], len(shares))
        self._tinted = _Tinted(YuvTables(*planes), alpha * weights)
        gaps = np.abs(np.arange(FINE_LEVELS) / (FINE_LEVELS - 1) - np.array(shares)[:, None])
        self._nearest = gaps.argmin(axis=0).astype(np.uint8)  # contour, for each value of a fine map
        self._gap = gaps.min(axis=0).astype(np.float32)  # its difference from that contour

    def over(self, source: av.VideoFrame, enlarged: Enlarged) -> av.VideoFrame:
        fine = enlarged.fine()
        height, columns = fine.shape
        luma, chroma = np.empty((height, columns), np.uint8), np.empty((height // 2, columns // 2), np.uint8)
        for top in range(0, height, _BAND):
            bottom = min(top + _BAND, height)
            distance = self._distance(fine, top, bottom)
            line, outline = (_covered(distance, width) for width in _line_widths(height))
            nearest = np.take(self._nearest, fine[top:bottom])
            luma[top:bottom] = _levels(nearest, line, outline)
            chroma[top // 2 : bottom // 2] = _levels(nearest[::2, ::2], _halved(line), _halved(outline))
        return self._tinted.tinted(source, (luma, chroma, chroma))

    def _distance(self, fine: npt.NDArray[np.uint16], top: int, bottom: int) -> Float32Array:
        """Return each pixel's distance in pixels from the nearest line, of a band of rows: `[row, column]`.

        It is, to first order, the difference in attention divided by the slope. On a plain, no line is near.
        """
        first, last = max(top - 1, 0), min(bottom + 1, len(fine))  # with the rows beside it, for the slopes
        down, right = np.gradient(fine[first:last] / np.float32(FINE_LEVELS - 1))
        slope: Float32Array = np.sqrt(down * down + right * right)[top - first : bottom - first]
        distance: Float32Array = np.full_like(slope, np.inf)
        np.divide(np.take(self._gap, fine[top:bottom]), slope, out=distance, where=slope >= _FLAT)
        return distance


def _line_widths(height: int) -> tuple[float, float]:
    """Return the widths in pixels of a line and of the line with its outline, for a picture of a height in pixels."""
    width = max(_THINNEST, height / _LINES_PER_PIXEL)
    return width, width + max(_THINNEST_OUTLINE, width)


def _covered(distance: Float32Array, width: float) -> Float32Array:
    """Return how much of each pixel a line of a width in pixels covers, 0..1."""
    covered: Float32Array = np.float32(width / 2 + 0.5) - distance
    return np.clip(covered, 0, 1, out=covered)


def _halved(plane: Float32Array) -> Float32Array:
    """Return the means of squares of four pixels, for planes of chroma."""
    sums: Float32Array = plane[::2, ::2] + plane[::2, 1::2] + plane[1::2, ::2] + plane[1::2, 1::2]
    return sums * np.float32(0.25)


def _levels(nearest: UInt8Array, line: Float32Array, outline: Float32Array) -> UInt8Array:
    """Return the level in the tables for each pixel, given the nearest line, and how much it and its outline cover."""
    on_line, around = (np.rint(covered * _SHADES).astype(np.uint8) for covered in (line, outline))
    first = nearest * np.uint8(2 * _SHADES)
    level = first + np.where(on_line > 0, on_line + np.uint8(_SHADES), around)
    return np.where(around > 0, level, np.uint8(0))
