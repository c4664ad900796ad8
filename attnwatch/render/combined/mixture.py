"""Lays the maps of several words over one video, each in its hue, in the codec's own colour space."""

from collections.abc import Sequence

import av
import numpy as np
import numpy.typing as npt

from attnwatch.render.colormap import BLACK, LEVELS, yuv_matrix
from attnwatch.render.colours import PIXEL_FORMAT, Colours
from attnwatch.render.compose import Enlarged, pixels
from attnwatch.render.gamut import from_srgb
from attnwatch.tensors.loops import OPAQUE
from attnwatch.tensors.reduction import Float32Array

UInt16Array = npt.NDArray[np.uint16]

_BAND = 32  # rows at a time: the light of six words takes 40 bytes per pixel
_PLANES = ((0,), (1, 2))  # of one size each
_NONE = np.float32(1e-9)  # instead of the highest weight where all are 0


class Mixture:
    """Opacity follows the highest attention of all words; their hues mix like coloured lights.

    The light of a word is the brighter, the nearer the square of its attention is to that of the highest: the hue of a
    word alone is its own, and what two words have in common is lighter than both, and not grey.

    Args:
        hues: each word's hue in sRGB, `[word, 3]`, 0..1.
        alpha: opacity where attention is highest, 0..1.
        colours: those of the video.
        inverted: whether level 0 is the highest attention instead of the lowest.

    """

    def __init__(self, hues: npt.NDArray[np.float64], alpha: float, colours: Colours, *, inverted: bool) -> None:
        attention = np.linspace(0, 1, LEVELS)[:: -1 if inverted else 1]
        self._weights = (attention**2).astype(np.float32)
        self._opacity = np.rint(alpha * attention * OPAQUE).astype(np.uint16)
        self._hues = from_srgb(hues, colours.primaries).astype(np.float32)
        self._to_yuv = yuv_matrix(colours.matrix).astype(np.float32)
        self._highest = np.minimum if inverted else np.maximum

    def over(self, source: av.VideoFrame, maps: Sequence[Enlarged]) -> av.VideoFrame:
        """Return a new frame of the maps' size, from a source that is at least as large; one map for each hue."""
        height, width = maps[0].greys[0].shape
        result = av.VideoFrame(width, height, PIXEL_FORMAT)
        for planes in _PLANES:
            levels = [enlarged.greys[planes[0]] for enlarged in maps]
            for top in range(0, len(levels[0]), _BAND):
                band = slice(top, top + _BAND)
                stacked = np.stack([level[band] for level in levels])
                opacity = self._opacity[self._highest.reduce(stacked)]
                light = self._light(self._weights[stacked])
                for plane in planes:
                    target = pixels(result.planes[plane])[band]
                    below = pixels(source.planes[plane])[band][: target.shape[0], : target.shape[1]]
                    mixed = (OPAQUE - opacity) * below + opacity * self._colour(light, plane)
                    np.right_shift(mixed + OPAQUE // 2, 8, out=target, casting="unsafe")
        return result

    def _light(self, weights: Float32Array) -> list[Float32Array]:
        """Return red, green and blue of mixed lights, each `[row, column]`, 0..1; weights: `[word, row, column]`."""
        weights /= np.maximum(weights.max(axis=0), _NONE)
        mixed = []
        for channel in range(3):
            dark = np.ones(weights.shape[1:], np.float32)
            for weight, hue in zip(weights, self._hues[:, channel], strict=True):
                dark *= 1 - weight * hue
            mixed.append(1 - dark)
        return mixed

    def _colour(self, light: Sequence[Float32Array], plane: int) -> UInt16Array:
        """Return the Y, U or V of a light."""
        values = np.full_like(light[0], BLACK[plane] + 0.5)
        for channel, share in zip(light, self._to_yuv[plane], strict=True):
            values += share * channel
        return values.astype(np.uint16)
