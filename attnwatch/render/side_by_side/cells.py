"""Paints the cells of one video: its picture, and its picture with the map of each word."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from attnwatch.render.colormap import WHITE, yuv_tables
from attnwatch.render.colours import ACCURATE, PIXEL_FORMAT, Colours
from attnwatch.render.compose import Enlarged, HeatPainter, pixels
from attnwatch.render.maps import Scale, to_levels
from attnwatch.render.overlay import overlay
from attnwatch.render.side_by_side.clock import Shown, at_ticks
from attnwatch.render.side_by_side.videos import Video
from attnwatch.settings import Visualization
from attnwatch.tensors.reduction import Float32Array

_KEPT = 0.45  # of a picture whose video is over; the rest is the white of the page

Column = tuple[Float32Array, Scale] | None
"""What a cell shows: the maps of a word, `[latent frame, row, column]`, and their scale; None for the video itself."""


@dataclass(frozen=True)
class Look:
    """How cells look.

    Attributes:
        settings: how maps are coloured and laid over the video.
        colours: colours of the cells.
        alone: whether words are shown as maps alone, without the video behind them.

    """

    settings: Visualization
    colours: Colours
    alone: bool


class Cells:
    """Plays a video and paints its cells, all at one size. Not thread-safe.

    Args:
        video: the video.
        columns: what each cell shows.
        size: width and height of a cell, even.
        look: how the cells look.
        rate: ticks of the clock per second.

    Attributes:
        has_ended: whether the video was over at the last tick.

    """

    def __init__(
        self, video: Video, columns: Sequence[Column], size: tuple[int, int], look: Look, *, rate: Fraction
    ) -> None:
        self.has_ended = False
        self._shown = at_ticks(video.source.frames(), video.source.timeline.time_base, rate)
        settings = look.settings
        tables = yuv_tables(settings.colormap, look.colours)
        self._painter = HeatPainter(*size, tables, settings.upsampling)
        self._overlay = overlay(settings.overlay, tables, settings.overlay_alpha, inverted=settings.invert)
        self._alignment, self._columns, self._size, self._look = video.alignment, columns, size, look
        colours = video.source.timeline.colours
        same = colours == look.colours
        self._matrices = (None, None) if same else (colours.matrix, look.colours.matrix)
        self._interpolation = Interpolation.BICUBIC if same else Interpolation.BICUBIC | ACCURATE
        self._scaler = VideoReformatter()
        self._painted: tuple[Shown, list[av.VideoFrame]] | None = None

    def next(self) -> list[av.VideoFrame]:
        """Return the pictures of the cells at the next tick; the same ones if the video shows the same as before."""
        shown = next(self._shown)
        self.has_ended = shown.has_ended
        if self._painted is None or self._painted[0] != shown:
            pictures = self._pictures(shown)
            self._painted = shown, [_faded(picture) for picture in pictures] if shown.has_ended else pictures
        return self._painted[1]

    def _pictures(self, shown: Shown) -> list[av.VideoFrame]:
        small = None if shown.picture is None else self._scaled(shown.picture)
        return [self._picture(small, column, shown.index) for column in self._columns]

    def _scaled(self, picture: av.VideoFrame) -> av.VideoFrame:
        before, after = self._matrices
        return self._scaler.reformat(
            picture,
            *self._size,
            format=PIXEL_FORMAT,
            src_colorspace=before,
            dst_colorspace=after,
            interpolation=self._interpolation,
            threads=1,
        )

    def _picture(self, small: av.VideoFrame | None, column: Column, index: int) -> av.VideoFrame:
        if column is None:
            assert small is not None  # noqa: S101 - for the type checker: an absent video has no such column
            return small
        maps, scale = column
        last = len(self._alignment.positions) - 1
        settings = self._look.settings
        now = self._alignment.moments(maps, [min(index, last)], settings.interpolation_steps)
        levels = to_levels(now, settings, None if settings.normalization == "frame" else scale)
        enlarged = Enlarged(self._painter, levels.shares[0])
        if small is None or self._look.alone:
            return self._painter.coloured(enlarged)
        return self._overlay.over(small, enlarged)


def _faded(picture: av.VideoFrame) -> av.VideoFrame:
    """Return a picture of a video that is over: paler, so that nobody takes it for one that stands still."""
    faded = av.VideoFrame(picture.width, picture.height, PIXEL_FORMAT)
    for target, source, white in zip(faded.planes, picture.planes, WHITE, strict=True):
        pixels(target)[:] = np.rint(pixels(source) * _KEPT + white * (1 - _KEPT))
    return faded
