"""Lays the maps of several words over one video, each in its hue, in the codec's own colour space."""

from collections.abc import Sequence

import av
import numpy as np
import numpy.typing as npt

from attnwatch.render.colormap import LEVELS, UInt8Array
from attnwatch.render.colours import PIXEL_FORMAT
from attnwatch.render.compose import Enlarged, pixels
from attnwatch.tensors.loops import OPAQUE

UInt16Array = npt.NDArray[np.uint16]

BLACK = (16, 128, 128)
"""Y, U and V."""

_BAND = 32  # rows at a time: the weights of six words take 24 bytes per pixel
_PLANES = ((0,), (1, 2))  # of one size each


class Mixture:
    """Opacity follows the highest attention of all words; the colour is the mean of their hues.

    In that mean, the weight of a word is the square of its attention, so that a word with a little of it does not grey
    the hue of one with a lot.

    Args:
        hues: Y, U and V of each word's hue, `[3, word]`.
        alpha: opacity where attention is highest, 0..1.
        inverted: whether level 0 is the highest attention instead of the lowest.

    """

    def __init__(self, hues: UInt8Array, alpha: float, *, inverted: bool) -> None:
        attention = np.arange(LEVELS)[:: -1 if inverted else 1]
        self._hues = hues.astype(np.float32)
        # Sixteenths, so that all sums are below 2^24: a float32 holds them exactly, in whatever order they are added.
        self._weights = np.ceil(attention**2 / 16).astype(np.float32)
        self._opacity = np.rint(alpha * attention / (LEVELS - 1) * OPAQUE).astype(np.uint16)
        self._highest = np.minimum if inverted else np.maximum

    def over(self, source: av.VideoFrame, maps: Sequence[Enlarged]) -> av.VideoFrame:
        """Return a new frame of the maps' size, from a source that is at least as large; one map for each hue."""
        height, width = maps[0].greys[0].shape
        result = av.VideoFrame(width, height, PIXEL_FORMAT)
        for planes in _PLANES:
            levels = [enlarged.greys[planes[0]] for enlarged in maps]
            targets, below = ([pixels(frame.planes[plane]) for plane in planes] for frame in (result, source))
            for top in range(0, len(levels[0]), _BAND):
                band = slice(top, top + _BAND)
                opacity, colours = self._mixed(np.stack([level[band] for level in levels]), planes)
                for target, under, colour in zip(targets, below, colours, strict=True):
                    kept = (OPAQUE - opacity) * under[band][: len(opacity), : opacity.shape[1]]
                    np.right_shift(kept + opacity * colour + OPAQUE // 2, 8, out=target[band], casting="unsafe")
        return result

    def _mixed(self, levels: UInt8Array, planes: tuple[int, ...]) -> tuple[UInt16Array, UInt16Array]:
        """Return the opacity, `[row, column]`, and the colour in each plane, of the levels of words, `[word, ...]`."""
        opacity = self._opacity[self._highest.reduce(levels)]
        weights = self._weights[levels].reshape(len(levels), -1)
        sums = self._hues[list(planes)] @ weights
        colours = sums / np.maximum(weights.sum(axis=0), 1) + np.float32(0.5)
        return opacity, colours.astype(np.uint16).reshape(len(planes), *opacity.shape)
