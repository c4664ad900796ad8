"""What contact sheets of attention show: the map of each video over its frames, or the mean over a prompt's videos."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from attnwatch.contract.kinds import OutputKind
from attnwatch.contract.manifest import Manifest
from attnwatch.render.colormap import LEVELS, yuv_tables
from attnwatch.render.colour_bars import colour_bar
from attnwatch.render.colours import Colours, srgb
from attnwatch.render.maps import Scale, ends, to_levels
from attnwatch.render.sheets.moments import Gap, Videos
from attnwatch.render.sheets.page import BAR, Bar, Strip
from attnwatch.render.sheets.pictures import alone, frame_of, map_colours, overlaid
from attnwatch.render.sheets.rows import Row, Selection, mean_label, rows_of
from attnwatch.settings import Visualization
from attnwatch.tensors.reduction import Float32Array

FRAMES = ("middle frame",)
"""Names of the columns of frames."""


class VideoRows:
    """Rows of one video each: its map over its frames.

    Args:
        word: slug of the word.
        selection: the rows.
        scale: attention at the ends of the colormap.
        videos: reads videos.
        settings: how overlays look.

    """

    frames = FRAMES

    def __init__(self, word: str, selection: Selection, scale: Scale, videos: Videos, settings: Visualization) -> None:
        self.groups = selection.groups
        self.about = selection.about
        self.bar = _bar(OutputKind.OVERLAY, scale, settings, "one scale for the whole batch")
        self.notes = [] if selection.left_out is None else [selection.left_out]
        self.is_empty = False  # there is a scale, so some map could be read
        self._word, self._scale, self._videos, self._settings = word, scale, videos, settings
        self._rows = rows_of(selection.groups)

    def strip(self, number: int) -> Strip | Gap:
        """Return the pictures of a row."""
        (video,) = self._rows[number].videos
        maps = self._videos.maps(video, self._word)
        if isinstance(maps, Gap):
            return maps
        footage = self._videos.footage(video, maps.shape[1:])
        if isinstance(footage, Gap):
            return footage
        shares = _shares(maps, self._scale, self._settings)
        pictures = (frame_of(footage), *overlaid(footage, shares, self._settings))
        return Strip(pictures, footage.seconds)


class MeanRows:
    """Rows of one prompt each: the mean map of its videos, without frames, because each video has other ones.

    Args: as of `VideoRows`; the scale is measured over the means.

    """

    frames = ("first video",)

    def __init__(self, word: str, selection: Selection, videos: Videos, settings: Visualization) -> None:
        self.about = selection.about
        self.notes = [] if selection.left_out is None else [selection.left_out]
        self._word, self._videos, self._settings = word, videos, settings
        means = [self._mean(row) for row in rows_of(selection.groups)]
        self._means = [mean for mean, _ in means]
        self._rows = [row for _, row in means]
        found = iter(self._rows)
        self.groups = tuple(replace(group, rows=tuple(next(found) for _ in group.rows)) for group in selection.groups)

    @property
    def is_empty(self) -> bool:
        """Whether no map could be read."""
        return all(isinstance(mean, Gap) for mean in self._means)

    @cached_property
    def bar(self) -> Bar:
        """The colour bar."""
        return _bar(OutputKind.ATTENTION, self._scale, self._settings, "one scale for all rows")

    def strip(self, number: int) -> Strip | Gap:
        """Return the pictures of a row."""
        mean, row = self._means[number], self._rows[number]
        if isinstance(mean, Gap):
            return mean
        footage = self._videos.footage(row.videos[0], mean.shape[1:])
        if isinstance(footage, Gap):
            return footage
        shares = _shares(mean, self._scale, self._settings)
        pictures = (frame_of(footage), *alone(footage, shares, map_colours(self._settings), self._settings))
        return Strip(pictures, footage.seconds)

    @cached_property
    def _scale(self) -> Scale:
        scales = [ends(mean, self._settings) for mean in self._means if not isinstance(mean, Gap)]
        return Scale(min(scale.low for scale in scales), max(scale.high for scale in scales))

    def _mean(self, row: Row) -> tuple[Float32Array | Gap, Row]:
        """Return the mean of a row's videos, and the row with those that could be read."""
        maps: list[Float32Array] = []
        used: list[Manifest] = []
        gap = None
        for video in row.videos:
            found = self._videos.maps(video, self._word)
            if not isinstance(found, Gap) and maps and found.shape != maps[0].shape:
                found = Gap(f"{video.path}: its maps have another size than those of other videos of its prompt")
            if isinstance(found, Gap):
                gap = gap or found
                self.notes.append(f"lacks a video: {found.reason}")
                continue
            maps.append(found)
            used.append(video)
        if not maps:
            return gap or Gap("it has no videos"), row
        mean = np.mean(np.stack(maps), axis=0, dtype=np.float64)
        return np.asarray(mean, dtype=np.float32), Row(mean_label(len(used)), tuple(used))


def _shares(maps: Float32Array, scale: Scale, settings: Visualization) -> Float32Array:
    own_ends = settings.model_copy(update={"normalization": "video"})  # those of the sheet hold for all its rows
    return to_levels(maps, own_ends, scale).shares


def _bar(kind: OutputKind, scale: Scale, settings: Visualization, whose: str) -> Bar:
    """Return a colour bar as figures and captions have it."""
    colours = Colours.usual(BAR[1])
    shown = settings.model_copy(update={"include_colorbar": True, "normalization": "video"})
    bar = colour_bar(kind, scale, shown, yuv_tables(settings.colormap, colours))
    assert bar is not None  # noqa: S101 - for the type checker: it was asked for
    picture = srgb(bar.painted(np.linspace(0, 1, LEVELS, dtype=np.float32)[None], BAR), colours)
    low, high = bar.end_texts
    return Bar(picture, (low, "", high), f"{bar.labels[0].text(bar.power)}; {whose}")
