"""The outputs that follow the video's frames: one lane per word, fed frame by frame."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction

from attnwatch.render.compose import Blender
from attnwatch.render.encode import Encoder
from attnwatch.render.maps import Levels, TimeMapping, resample_in_time, to_levels
from attnwatch.render.output import Context, Output
from attnwatch.render.source import SourceFrame, Timeline
from attnwatch.tensors import WordMaps


class Lane:
    """Paints one word's map for each frame, and encodes it alone and over the source.

    Attributes:
        outputs: the files that are being written.

    """

    def __init__(self, context: Context, word: WordMaps, stack: contextlib.ExitStack, *, overlay: bool) -> None:
        levels = _levels(context, word)
        self.outputs: list[Output] = []
        self._shares = levels.shares
        self._painter = context.painter(context.size)
        self._overlay: Encoder | None = None
        self._attention: Encoder | None = None
        self._page = None
        rate, time_base = output_clock(context.timeline, context.settings.fps)
        if overlay:
            self._blender = Blender(context.settings.overlay_alpha)
            self.outputs.append(context.output(word, "overlay", levels.scale))
            self._overlay = stack.enter_context(context.encoder(self.outputs[-1].path, context.size, rate, time_base))
        if context.settings.generate_attention_only:
            self._page = context.page(word, levels.scale, context.timeline.frames)
            size = context.size
            if self._page is not None:
                size, box = self._page.size, self._page.boxes[0]
                self._page_painter = context.painter((box.width, box.height))
            self.outputs.append(context.output(word, "attention", levels.scale))
            self._attention = stack.enter_context(context.encoder(self.outputs[-1].path, size, rate, time_base))

    def write(self, index: int, frame: SourceFrame) -> None:
        """Add one frame to each output; `index` is its place in the source."""
        shares = self._shares[min(index, len(self._shares) - 1)]
        heat = self._painter.paint(shares) if self._overlay is not None or self._page is None else None
        if self._overlay is not None and frame.picture is not None and heat is not None:
            self._overlay.write(self._blender.blend(frame.picture, heat), frame.pts, frame.duration)
        if self._attention is not None:
            if self._page is not None:
                heat = self._page.compose([self._page_painter.paint(shares)], index + 1)
            if heat is not None:
                self._attention.write(heat, frame.pts, frame.duration)


def _levels(context: Context, word: WordMaps) -> Levels:
    maps = word.frames(context.part)
    mapping = TimeMapping.of(len(maps), context.timeline.frames, context.manifest.document.grid)
    frames = resample_in_time(maps, mapping, context.timeline.frames, context.settings.interpolation_steps)
    return to_levels(frames, context.settings, context.scales.get(word.slug))


def output_clock(timeline: Timeline, fps: float | None) -> tuple[Fraction, Fraction]:
    """Return the rate and the time base of the outputs."""
    if fps is None:
        return timeline.rate, timeline.time_base
    rate = Fraction(fps).limit_denominator(1001)
    return rate, 1 / rate


def at_rate(frames: Iterator[SourceFrame], timeline: Timeline, fps: float | None) -> Iterator[tuple[int, SourceFrame]]:
    """Take the frame that is on screen at each tick of another rate; with none given, every frame.

    Yields:
        The frame's place in the source, and the frame with its time in units of the output's time base. With a lower
        rate frames are left out, with a higher one repeated: the duration stays.

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
