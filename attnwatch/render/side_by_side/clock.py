"""One clock for several videos: at which rate it ticks, and which frame each video shows at each tick."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import av

from attnwatch.render.timeline import SourceFrame, Timeline

HIGHEST_RATE = 60
"""Ticks per second at most, unless another rate is asked for: what displays show."""


@dataclass(frozen=True)
class Shown:
    """What a video shows at a tick.

    Attributes:
        index: number of the frame in the video.
        picture: the frame as yuv420p; None if the video is absent.
        has_ended: whether the video is over, so that this is its last frame.

    """

    index: int
    picture: av.VideoFrame | None
    has_ended: bool = False


def common_rate(timelines: Iterable[Timeline], fps: float | None) -> Fraction:
    """Return the ticks per second: the highest rate of the videos, within limits, or the one that is asked for."""
    rate = max(timeline.still_rate for timeline in timelines) if fps is None else Fraction(fps)
    return (min(rate, Fraction(HIGHEST_RATE)) if fps is None else rate).limit_denominator(1001)


def at_ticks(frames: Iterable[SourceFrame], time_base: Fraction, rate: Fraction) -> Iterator[Shown]:
    """Yield what a video shows at each tick, from its first frame on and without end: its last frame when it is over.

    A frame may begin late by half of its length, or of a tick, so that times which a file has rounded neither drop nor
    repeat a frame.

    Args:
        frames: the frames of the video, at least one.
        time_base: seconds per unit of their times.
        rate: ticks per second.

    """
    tick, first, began = 0, None, Fraction(0)
    shown, ends = None, Fraction(0)
    for index, frame in enumerate(frames):
        first = frame.pts if first is None else first
        begins = (frame.pts - first) * time_base * rate
        while shown is not None and tick + _late(begins - began) <= begins:
            yield shown
            tick += 1
        shown, began = Shown(index, frame.picture), begins
        ends = begins + frame.duration * time_base * rate
    while shown is not None and (tick == 0 or tick + _late(ends - began) <= ends):
        yield shown
        tick += 1
    while shown is not None:
        yield replace(shown, has_ended=True)


def _late(ticks: Fraction) -> Fraction:
    """Return the ticks by which the next frame may begin late, given those that a frame is shown for."""
    return min(Fraction(1), ticks) / 2
