"""Reads what contact sheets show of a video: small frames and maps, at the same six moments."""

from collections import OrderedDict
from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import Interpolation

from attnwatch.batches.videos import open_attention
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.receipts import describe
from attnwatch.contract.stamps import stamp_of
from attnwatch.errors import AttnwatchError, UnknownNameError, VideoError
from attnwatch.render.colours import PIXEL_FORMAT
from attnwatch.render.maps import part_of
from attnwatch.render.source import open_source
from attnwatch.render.timeline import SourceFrame, Timeline
from attnwatch.settings import Visualization
from attnwatch.tensors.reduction import Float32Array

MOMENTS = 6
CELL = (332, 400)
"""Largest width and height of a picture in pixels."""

_ANY_GRID = (1, 9, 16)  # only the size of an absent video depends on it
_KEPT = 32  # videos whose small frames are kept for the sheets of other words: 20 MiB


@dataclass(frozen=True)
class Footage:
    """Small frames of a video. A picture is None if the video is absent.

    Attributes:
        timeline: of the video.
        middle: the frame in its middle.
        moments: frames from the first to the last one.
        seconds: when the middle one is shown, then when each of these is, from the first frame on.

    """

    timeline: Timeline
    middle: av.VideoFrame | None
    moments: tuple[av.VideoFrame | None, ...]
    seconds: tuple[float, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its pictures in pixels."""
        return small_size(self.timeline)


@dataclass(frozen=True)
class Gap:
    """Something that cannot be drawn, and why."""

    reason: str


class Videos:
    """Reads videos; keeps the last ones.

    Args:
        settings: the selected steps, layers and heads apply, and `rotation`.

    """

    def __init__(self, settings: Visualization) -> None:
        self._settings = settings
        self._kept: OrderedDict[str, Footage | Gap] = OrderedDict()
        self._timelines: dict[str, Timeline] = {}

    def maps(self, video: Manifest, slug: str) -> Float32Array | Gap:
        """Return the maps of a word at the moments, `[moment, height, width]`; or why they cannot be read."""
        removed = next((path for path in video.attention if stamp_of(path) is None), None)
        if removed is not None:
            return Gap(f"{removed} was removed after the rendering")
        try:
            with open_attention(video) as reader:
                word = reader.words.get(slug)
                if word is None:
                    problem = f"found no word {slug!r}, which its receipt names; render it again"
                    raise UnknownNameError(f"{video.path}: {problem}")
                maps = word.frames(part_of(self._settings))
            timeline = self._timeline(video, word.grid)
            moments, _ = _moments(timeline)
            return timeline.alignment(video.document).moments(maps, moments)
        except (AttnwatchError, OSError) as error:
            return Gap(describe(error))

    def footage(self, video: Manifest, grid: tuple[int, int]) -> Footage | Gap:
        """Return the small frames of a video; or why they cannot be read.

        Args:
            video: the video.
            grid: rows and columns of its maps, for the size of a video that is absent.

        """
        key = str(video.path)
        if key not in self._kept:
            try:
                self._kept[key] = self._read(video, grid)
            except (AttnwatchError, OSError) as error:
                self._kept[key] = Gap(describe(error))
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def size(self, video: Manifest) -> tuple[int, int] | None:
        """Return the width and height of a video's small pictures; None if it cannot be read."""
        grid = video.document.grid
        try:
            with open_source(video, (1, grid.height, grid.width) if grid else _ANY_GRID, turns=self._turns) as source:
                return small_size(source.timeline)
        except (AttnwatchError, OSError):
            return None

    @property
    def _turns(self) -> bool:
        return self._settings.rotation == "apply"

    def _timeline(self, video: Manifest, grid: tuple[int, int, int]) -> Timeline:
        """Return when the frames of a video are shown; to find out takes longer than to read its maps."""
        key = str(video.path)
        if key not in self._timelines:
            with open_source(video, grid, turns=self._turns) as source:
                self._timelines[key] = source.timeline
        return self._timelines[key]

    def _read(self, video: Manifest, grid: tuple[int, int]) -> Footage:
        with open_source(video, (1, *grid), turns=self._turns) as source:
            timeline = self._timelines.get(str(video.path), source.timeline)
            moments, middle = _moments(timeline)
            wanted = {*moments, middle}
            found = {
                index: (frame, _small(frame, timeline))
                for index, frame in enumerate(source.frames())
                if index in wanted
            }
        if not found:
            raise VideoError(f"{video.video}: found no frame; expected at least one")
        last = max(found)  # the file may end before its header says
        first, _ = found[min(found)]
        frames = [found[min(index, last)] for index in (middle, *moments)]
        seconds = tuple(float((frame.pts - first.pts) * timeline.time_base) for frame, _ in frames)
        shown, *small = (picture for _, picture in frames)
        return Footage(timeline, shown, tuple(small), seconds)


def small_size(timeline: Timeline) -> tuple[int, int]:
    """Return the width and height of a video's small pictures, both even."""
    width, height = CELL
    aspect = float(timeline.aspect)
    wide = min(width, height * aspect)
    return max(2, round(wide / 2) * 2), max(2, min(height, round(wide / aspect / 2) * 2))


def _moments(timeline: Timeline) -> tuple[list[int], int]:
    """Return the numbers of the frames at the moments, and that of the middle one."""
    return np.rint(np.linspace(0, timeline.frames - 1, MOMENTS)).astype(int).tolist(), timeline.frames // 2


def _small(frame: SourceFrame, timeline: Timeline) -> av.VideoFrame | None:
    if frame.picture is None:
        return None
    size = small_size(timeline)
    return frame.picture.reformat(*size, format=PIXEL_FORMAT, interpolation=Interpolation.BICUBIC, threads=1)
