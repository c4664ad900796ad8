"""Puts videos and words beside each other in one video, frame by frame."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import Colorspace

from attnwatch.contract.kinds import OutputKind
from attnwatch.contract.manifest import Manifest
from attnwatch.render.colormap import yuv_tables
from attnwatch.render.colour_bars import colour_bar
from attnwatch.render.colours import Colours
from attnwatch.render.encode import Encoder
from attnwatch.render.memory import must_be_lean
from attnwatch.render.side_by_side.cells import Cells, Look
from attnwatch.render.side_by_side.clock import common_rate
from attnwatch.render.side_by_side.page import BarOf, drawn
from attnwatch.render.side_by_side.plan import Plan, planned
from attnwatch.render.side_by_side.scene import MOST_CELLS, Request, Scene, too_many
from attnwatch.render.side_by_side.videos import Video, opened
from attnwatch.render.sound import add_sound
from attnwatch.render.source import VideoSource
from attnwatch.render.text.missing import missing_glyphs
from attnwatch.settings import Visualization
from attnwatch.system.limits import room


@dataclass(frozen=True)
class Composition:
    """A written video.

    Attributes:
        size: width and height in pixels.
        rate: frames per second.
        frames: number of frames.
        notes: remarks on what was found and done.

    """

    size: tuple[int, int]
    rate: Fraction
    frames: int
    notes: tuple[str, ...] = ()


def compose(manifests: Sequence[Manifest], settings: Visualization, request: Request, path: Path) -> Composition:
    """Write a video of videos and words beside each other.

    All play on one clock, from their first frames on. One that is over stays, paler, until the longest is.

    Args:
        manifests: manifests of the videos, at least one.
        settings: how overlays look, and the selected steps, layers and heads.
        request: what is to be shown, and how it is arranged.
        path: the MP4 file to write.

    Raises:
        ConfigError: there are too many cells, or no room for them; a step, layer or head is not stored.
        UnknownNameError: no video has a requested word.
        NotReadyError, ContractError, VideoError: a file is missing, breaks the contract, or cannot be decoded.

    """
    if len(manifests) > MOST_CELLS:
        raise too_many(len(manifests))
    with contextlib.ExitStack() as stack:
        videos = [stack.enter_context(opened(manifest, request.words, settings)) for manifest in manifests]
        counted = None
        # Decoding may find another number of frames than a file promised: then its maps are placed anew.
        while counted != (timelines := [video.source.timeline for video in videos]):
            counted = timelines
            written = _write(Scene.of(videos, request, settings), path, request.threads)
        notes = [note for video in videos for note in video.notes]
        return replace(written, notes=(*notes, *written.notes, *_with_sound(videos, settings, path)))


def _with_sound(videos: Sequence[Video], settings: Visualization, path: Path) -> list[str]:
    """Add the sound if there is only one video; return notes on it. Of several, none would be the right one."""
    source = videos[0].source
    if len(videos) > 1 or not settings.audio or not isinstance(source, VideoSource):
        return []
    timeline = source.timeline
    return add_sound(source, [path], -timeline.times[0] * timeline.time_base if timeline.times else Fraction(0))


def _write(scene: Scene, path: Path, threads: int) -> Composition:
    timelines = [video.source.timeline for video in scene.videos]
    rate = common_rate(timelines, scene.settings.fps)
    colours = _colours(scene.videos)
    bar = _bars(scene, colours)
    plan = planned(scene, max(float(timeline.seconds[-1] + 1 / timeline.rate) for timeline in timelines), bar)
    places = [box for boxes in plan.boxes for box in boxes]
    page = drawn(plan.layout.size, plan.labels, plan.clock, plan.style, pictures=places, bar=bar)
    rows = _rows(scene, plan, colours, rate)
    with _encoder(path, page.size, rate, colours, scene.settings) as encoder, ThreadPoolExecutor(threads) as pool:
        tick = 0
        for tick, pictures in enumerate(_ticks(rows, pool)):
            encoder.write(page.compose(pictures, seconds=float(tick / rate)), tick, 1)
    missing = missing_glyphs("".join(label.text for label in plan.labels))
    return Composition(page.size, rate, tick + 1, () if missing is None else (str(missing),))


def _bars(scene: Scene, colours: Colours) -> BarOf:
    """Return what makes the colour bar of a scale."""
    kind = OutputKind.ATTENTION if scene.request.alone else OutputKind.OVERLAY
    tables = yuv_tables(scene.settings.colormap, colours)
    return lambda scale: colour_bar(kind, scale, scene.settings, tables)


def _ticks(rows: Sequence[Cells], pool: ThreadPoolExecutor) -> Iterator[list[av.VideoFrame]]:
    """Yield the pictures of all cells at each tick, until all videos are over."""
    while True:
        pictures = list(pool.map(Cells.next, rows))
        if all(row.has_ended for row in rows):
            return
        yield list(itertools.chain.from_iterable(pictures))


def _encoder(path: Path, size: tuple[int, int], rate: Fraction, colours: Colours, settings: Visualization) -> Encoder:
    return Encoder(
        path,
        width=size[0],
        height=size[1],
        rate=rate,
        time_base=1 / rate,
        colours=colours,
        quality=settings.quality,
        footage=True,
        lean=must_be_lean(size, settings.quality, room()),
    )


def _rows(scene: Scene, plan: Plan, colours: Colours, rate: Fraction) -> list[Cells]:
    """Return what paints the cells of each video, at the sizes of their places."""
    look = Look(scene.settings, colours, alone=scene.request.alone)
    rows = []
    for number, (video, boxes) in enumerate(zip(scene.videos, plan.boxes, strict=True)):
        columns = [
            None if column is None else (video.maps[column], scene.scales[number, column])
            for column in scene.columns_in(number)
        ]
        size = (boxes[0].width, boxes[0].height) if boxes else (2, 2)
        rows.append(Cells(video, columns, size, look, rate=rate))
    return rows


def _colours(videos: Sequence[Video]) -> Colours:
    """Return the colours of the page: those of the videos if all have the same."""
    found = {video.source.timeline.colours for video in videos}
    return found.pop() if len(found) == 1 else Colours.of_matrix(Colorspace.ITU709)
