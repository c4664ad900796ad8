"""The renderer's own pictures, before they are encoded, for comparison with what a browser draws."""

import av
import numpy as np

from attnwatch.contract.manifest import read_manifest
from attnwatch.library.maps import open_maps
from attnwatch.render.colormap import BLACK, yuv_matrix, yuv_tables
from attnwatch.render.colours import PIXEL_FORMAT
from attnwatch.render.combined.hues import hues_rgb
from attnwatch.render.combined.mixture import Mixture
from attnwatch.render.compose import Enlarged, HeatPainter, pixels
from attnwatch.render.maps import part_of, to_levels
from attnwatch.render.overlay import overlay
from attnwatch.render.source import VideoSource
from attnwatch.settings import Visualization

_PLAIN = Visualization()


class Rendered:
    """One video as the renderer shows it.

    Args:
        path: its manifest.
        frames: numbers of the frames that are looked at.

    Attributes:
        frames: numbers of the frames.
        sources: those frames without maps, RGB.

    """

    def __init__(self, path, frames):
        self._manifest = read_manifest(path)
        self.frames = frames
        with self._manifest.open_file(self._manifest.video) as file:
            source = VideoSource(file, "video")
            self._pictures = [frame.picture for n, frame in enumerate(source.frames()) if n in frames]
            self._timeline = source.timeline
        self._size = (self._timeline.width, self._timeline.height)
        self.sources = [rgb(picture, self._timeline.colours) for picture in self._pictures]

    def over_grey(self, word, settings, grey):
        """Return the frames with a map over one grey instead of the video, RGB."""
        flat = av.VideoFrame.from_ndarray(np.full((*self._size[::-1], 3), grey, np.uint8), format="rgb24")
        picture = flat.reformat(format=PIXEL_FORMAT, dst_colorspace=self._timeline.colours.matrix)
        return self._laid([picture] * len(self.frames), [word], settings)

    def overlays(self, words, settings, scale=None):
        """Return the frames with the maps over them, RGB: one word in the colormap, several in their hues."""
        return self._laid(self._pictures, words, settings, scale)

    def _laid(self, pictures, words, settings, scale=None):
        colours = self._timeline.colours
        tables = yuv_tables(settings.colormap, colours)
        painter = HeatPainter(*self._size, tables, settings.upsampling)
        shares = [self.shares(word, settings, scale) for word in words]
        laid = overlay(settings.overlay, tables, settings.overlay_alpha, inverted=settings.invert)
        mixture = Mixture(hues_rgb(len(words)), settings.overlay_alpha, colours, inverted=settings.invert)
        found = []
        for picture, frame in zip(pictures, self.frames, strict=True):
            maps = [Enlarged(painter, share[frame]) for share in shares]
            shown = laid.over(picture, maps[0]) if len(maps) == 1 else mixture.over(picture, maps)
            found.append(rgb(shown, colours))
        return found

    def levels(self, word, settings, scale=None):
        """Return the level of each pixel, 0 to 255, in each frame."""
        painter = HeatPainter(*self._size, yuv_tables(settings.colormap, self._timeline.colours), settings.upsampling)
        shares = self.shares(word, settings, scale)
        return [Enlarged(painter, shares[frame]).greys[0].copy() for frame in self.frames]

    def attention(self, word, settings=_PLAIN):
        """Return the attention at each frame of the video, `[frame, row, column]`."""
        with open_maps(self._manifest) as reader:
            maps = reader.words[word].frames(part_of(settings))
        return self._timeline.alignment(self._manifest.document).maps(maps)

    def shares(self, word, settings, scale=None):
        """Return positions in the colormap at each frame of the video, `[frame, row, column]`."""
        return to_levels(self.attention(word, settings), settings, scale).shares


def rgb(picture, colours):
    """Return a picture as RGB, `[height, width, 3]`, each colour where the codec has it; players smooth them."""
    y, u, v = map(pixels, picture.planes)
    planes = np.stack([y, *(np.repeat(np.repeat(one, 2, axis=0), 2, axis=1) for one in (u, v))], axis=-1)
    found = (planes - np.array(BLACK, float)) @ np.linalg.inv(yuv_matrix(colours.matrix)).T
    return np.rint(255 * found.clip(0, 1)).astype(np.uint8)
