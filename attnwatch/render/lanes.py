"""Writes the outputs with one frame per video frame (attention and overlay), one lane per word."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import islice

import av
from av.video.reformatter import Interpolation, VideoReformatter

from attnwatch.contract.kinds import OutputKind
from attnwatch.render.colours import PIXEL_FORMAT
from attnwatch.render.compose import Enlarged, HeatPainter
from attnwatch.render.encode import Encoder
from attnwatch.render.maps import Levels, to_levels
from attnwatch.render.output import Clock, Context, Output
from attnwatch.render.pages.page import Page
from attnwatch.render.timeline import SourceFrame, Timeline
from attnwatch.tensors.reader import WordMaps
from attnwatch.tensors.reduction import Float32Array

_CHUNK_FRAMES, _CHUNK_BYTES = 6, 6 * 2**20

Chunk = Sequence[tuple[int, SourceFrame]]
"""Consecutive frames, each with its index in the source."""


@dataclass(frozen=True)
class _Moments:
    """A chunk of frames with one word's map for each, `[height, width]`, 0..1."""

    chunk: Chunk
    shares: list[Float32Array]
    painter: HeatPainter

    @cached_property
    def enlarged(self) -> list[Enlarged]:
        """The maps at the size of the source."""
        return [Enlarged(self.painter, share) for share in self.shares]

    def heats(self) -> Iterator[av.VideoFrame]:
        """Yield the coloured maps, at the size of the source."""
        return map(self.painter.coloured, self.enlarged)


Pictures = Callable[[_Moments], Iterator[av.VideoFrame]]


class Lane:
    """The per-frame outputs of one word, written chunk by chunk.

    Attributes:
        outputs: the files being written.

    """

    def __init__(
        self,
        context: Context,
        word: WordMaps,
        stack: contextlib.ExitStack,
        kinds: Iterable[OutputKind],
        *,
        lean: bool = False,
    ) -> None:
        levels = levels_of(context, word)
        self._shares = levels.shares
        self._painter = context.painter(context.size)
        self.outputs: list[Output] = []
        self._tracks: list[tuple[Pictures, Encoder]] = []
        clock = output_clock(context.timeline, context.settings.fps)

        for kind in kinds:
            output = context.output(word, kind, levels.scale)
            page = context.page(word, kind, levels.scale)
            pictures = _pictures(context, kind) if page is None else _on_page(context, kind, page)
            self.outputs.append(output)
            size = context.size if page is None else page.size
            squared = context.settings.figsize is not None
            encoder = context.encoder(output.path, size, clock, footage=kind.shows_source, lean=lean, squared=squared)
            self._tracks.append((pictures, stack.enter_context(encoder)))

    def write(self, chunk: Chunk) -> None:
        """Append a chunk of frames to each output.

        Outputs are written one after the other, not frame by frame, so that each encoder finds its data in the cache.
        """
        last = len(self._shares) - 1
        moments = _Moments(chunk, [self._shares[min(index, last)] for index, _ in chunk], self._painter)
        for pictures, encoder in self._tracks:
            for picture, (_, frame) in zip(pictures(moments), chunk, strict=True):
                encoder.write(picture, frame.pts, frame.duration)


def _pictures(context: Context, kind: OutputKind) -> Pictures:
    """Return the pictures of an output: the map alone, or over the source video."""
    if not kind.needs_source:
        return _Moments.heats
    overlay = context.overlay()

    def pictures(moments: _Moments) -> Iterator[av.VideoFrame]:
        for (_, frame), enlarged in zip(moments.chunk, moments.enlarged, strict=True):
            if frame.picture is None:
                yield moments.painter.coloured(enlarged)
            else:
                yield overlay.over(frame.picture, enlarged)

    return pictures


def _on_page(context: Context, kind: OutputKind, page: Page) -> Pictures:
    """Return the pictures of an output in a figure, or with a caption."""
    shown, size, seconds = _pictures(context, kind), page.boxes[0].size, context.timeline.seconds.tolist()
    if size != context.size:
        shown = _at_size(size, context.painter(size), shown, with_source=kind.needs_source)

    def pictures(moments: _Moments) -> Iterator[av.VideoFrame]:
        for (index, _), picture in zip(moments.chunk, shown(moments), strict=True):
            yield page.compose([picture], frame=index + 1, seconds=seconds[min(index, len(seconds) - 1)])

    return pictures


def _at_size(size: tuple[int, int], painter: HeatPainter, shown: Pictures, *, with_source: bool) -> Pictures:
    """Return pictures at another size than that of the source, made one by one, because they may be much larger."""
    scaler = VideoReformatter()

    def scaled(frame: SourceFrame) -> SourceFrame:
        if frame.picture is None or not with_source:
            return frame
        # What makes a picture smaller by cubic curves sharpens its grain, which takes the encoder a third longer.
        is_larger = size[0] > frame.picture.width
        how = Interpolation.BICUBIC if is_larger else Interpolation.BILINEAR
        picture = scaler.reformat(frame.picture, *size, format=PIXEL_FORMAT, interpolation=how, threads=1)
        return replace(frame, picture=picture)

    def pictures(moments: _Moments) -> Iterator[av.VideoFrame]:
        for (index, frame), share in zip(moments.chunk, moments.shares, strict=True):
            yield from shown(_Moments([(index, scaled(frame))], [share], painter))

    return pictures


def chunks(frames: Iterator[tuple[int, SourceFrame]], timeline: Timeline) -> Iterator[Chunk]:
    """Group frames into chunks that are long enough to be fast and small enough to save memory."""
    size = timeline.width * timeline.height * 3 // 2
    count = max(1, min(_CHUNK_FRAMES, _CHUNK_BYTES // size))
    while chunk := list(islice(frames, count)):
        yield chunk


def levels_of(context: Context, word: WordMaps) -> Levels:
    """Return the map of a word at each frame of the video."""
    frames = context.alignment.maps(word.frames(context.part), context.settings.interpolation_steps)
    return to_levels(frames, context.settings, context.scales.get(word.slug))


def output_clock(timeline: Timeline, fps: float | None) -> Clock:
    """Return the frame rate and the time base of the outputs."""
    if fps is None:
        return timeline.rate, timeline.time_base
    rate = Fraction(fps).limit_denominator(1001)
    return rate, 1 / rate


def at_rate(frames: Iterator[SourceFrame], timeline: Timeline, fps: float | None) -> Iterator[tuple[int, SourceFrame]]:
    """Resample frames to another rate by yielding the frame shown at each tick; every frame if `fps` is None.

    Yields:
        The index of the frame in the source, and the frame with its time in units of the output's time base. A lower
        rate drops frames, a higher rate repeats them; the duration stays the same.

    """
    if fps is None:
        yield from enumerate(frames)
        return
    rate, _ = output_clock(timeline, fps)
    tick, first, end = 0, None, Fraction(0)
    shown: tuple[int, SourceFrame] | None = None
    for index, frame in enumerate(frames):
        first = frame.pts if first is None else first
        start = (frame.pts - first) * timeline.time_base
        end = start + frame.duration * timeline.time_base
        while shown is not None and tick < start * rate:
            yield shown[0], SourceFrame(tick, 1, shown[1].picture)
            tick += 1
        shown = index, frame
    while shown is not None and tick < end * rate:
        yield shown[0], SourceFrame(tick, 1, shown[1].picture)
        tick += 1
