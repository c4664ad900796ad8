"""Which moments of a video a figure shows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from attnwatch.errors import ConfigError
from attnwatch.render.timeline import Timeline

At: TypeAlias = float | str | Sequence[float | str] | None
"""Seconds, `"1.5s"`, a frame such as `"frame:24"` or `"24f"`, `"mean"`, several of these, or None: the usual ones."""

_SECONDS = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*s?")
_FRAME = re.compile(r"frame[:\s]\s*(\d+)|(\d+)\s*f")
_ROUNDING = 1e-6  # seconds


@dataclass(frozen=True)
class Moment:
    """One moment of a video.

    Attributes:
        frame: number of the frame that is shown then, from 0.
        seconds: when it is shown, from the beginning of the video.
        is_mean: whether the mean of the maps over time is meant; the frame is then the one to show beside it.

    """

    frame: int
    seconds: float
    is_mean: bool = False

    @property
    def label(self) -> str:
        """The moment in a few words."""
        return "mean over time" if self.is_mean else f"{self.seconds:.2f} s"


def moments(at: At, timeline: Timeline) -> list[Moment]:
    """Return the moments that a user names.

    Raises:
        ConfigError: one is written in another way, or beyond the end of the video.

    """
    several = at.split(",") if isinstance(at, str) else list(at) if isinstance(at, Sequence) else [at]
    return [_moment(one.strip() if isinstance(one, str) else one, timeline) for one in several]


def middle(timeline: Timeline) -> Moment:
    """Return the moment in the middle of a video."""
    return _of_frame(timeline.frames // 2, timeline)


def evenly(count: int, timeline: Timeline) -> list[Moment]:
    """Return moments at equal distances, from the first to the last frame; fewer if there are fewer frames."""
    frames = dict.fromkeys(np.rint(np.linspace(0, timeline.frames - 1, count)).astype(int).tolist())
    return [_of_frame(frame, timeline) for frame in frames]


def _of_frame(frame: int, timeline: Timeline) -> Moment:
    return Moment(frame, float(timeline.seconds[frame]))


def _moment(at: object, timeline: Timeline) -> Moment:
    if at == "mean":
        there = middle(timeline)
        return Moment(there.frame, there.seconds, is_mean=True)
    if isinstance(at, str) and (named := _FRAME.fullmatch(at)):
        number = int(named[1] or named[2])
        if not 1 <= number <= timeline.frames:
            raise ConfigError(
                f"at: found frame {number:,}; expected 1 to {timeline.frames:,}, the frames of the video; choose one "
                "of these"
            )
        return _of_frame(number - 1, timeline)
    seconds = _seconds(at)
    if seconds is None:
        raise ConfigError(
            f"at: found {at!r}; expected a time in seconds such as 1.5s, a frame such as frame:24 or 24f (the first is "
            "1), or mean, the mean over time"
        )
    length = float(timeline.seconds[-1] + 1 / timeline.rate)
    if not 0 <= seconds <= length + _ROUNDING:
        raise ConfigError(
            f"at: found {seconds:g} s; expected 0 to {length:.2f} s, the length of the video; choose a time within it"
        )
    return _of_frame(int(np.abs(timeline.seconds - seconds).argmin()), timeline)


def _seconds(at: object) -> float | None:
    """Return a time in seconds; None if it is not written as one."""
    if isinstance(at, str):
        written = _SECONDS.fullmatch(at)
        return None if written is None else float(written[1])
    is_number = isinstance(at, int | float) and not isinstance(at, bool)
    return float(at) if is_number else None  # type: ignore[arg-type]
