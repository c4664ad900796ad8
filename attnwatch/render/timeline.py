"""When the frames of a video are shown, and at which size and in which colours."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np

from attnwatch.contract.documents import ManifestDocument
from attnwatch.render.alignment import Alignment
from attnwatch.render.colours import Colours
from attnwatch.render.maps import Float64Array

DEFAULT_RATE = Fraction(16)  # frames per second of a video that does not tell
_LOWEST_STILL_RATE, _HIGHEST_STILL_RATE = Fraction(1, 10), Fraction(240)
_MOST_REORDERED = 16  # frames: the deepest reordering of H.264 and HEVC


@dataclass(frozen=True)
class Timeline:
    """Size, timing and colours of a video, shared by all of its outputs.

    Attributes:
        width: width in pixels, even.
        height: height in pixels, even.
        frames: number of frames.
        rate: frames per second.
        time_base: seconds per unit of `pts`.
        colours: colours of the source's pictures and therefore of the outputs.
        pixel_aspect: width of a pixel divided by its height.
        times: when each frame is shown, in units of `time_base`; empty if that is only known at `rate`.

    """

    width: int
    height: int
    frames: int
    rate: Fraction
    time_base: Fraction
    colours: Colours
    pixel_aspect: Fraction = Fraction(1)
    times: Sequence[int] = field(default=(), repr=False)

    @property
    def aspect(self) -> Fraction:
        """Width of the shown picture divided by its height."""
        return self.width * self.pixel_aspect / self.height

    @property
    def seconds(self) -> Float64Array:
        """When each frame is shown, in seconds from the first one."""
        if len(self.times) != self.frames:
            return np.arange(self.frames) / float(self.rate)
        return (np.array(self.times, np.float64) - self.times[0]) * float(self.time_base)

    def alignment(self, document: ManifestDocument) -> Alignment:
        """Return which generated frame each frame shows."""
        return Alignment.of(document, self.seconds, float(1 / self.rate))

    @property
    def still_rate(self) -> Fraction:
        """Frames per second of an output that does not follow the frames of the source."""
        is_plausible = _LOWEST_STILL_RATE <= self.rate <= _HIGHEST_STILL_RATE
        return (self.rate if is_plausible else DEFAULT_RATE).limit_denominator(1001)


@dataclass(frozen=True)
class SourceFrame:
    """One frame of a video; `picture` is yuv420p, or None if the video is absent."""

    pts: int
    duration: int
    picture: av.VideoFrame | None


class Clock:
    """Gives times that increase with every frame, as files and encoders need them.

    Screen recorders and joined files have frames at one time, or start again at 0. A frame that is not later than the
    one before it comes one unit after it; if the times jump back, they go on from there.
    """

    def __init__(self, usual: int) -> None:
        self._usual = usual
        self._shift = 0
        self._frames = 0
        self._last: int | None = None

    def time(self, pts: int | None) -> int:
        """Return the time of the next frame; `pts` is the time that the file gives it, if any."""
        time = (self._frames * self._usual if pts is None else pts) + self._shift
        self._frames += 1
        if self._last is not None and time <= self._last:
            if self._last - time > _MOST_REORDERED * self._usual:
                self._shift += self._last + self._usual - time
                time = self._last + self._usual
            else:
                time = self._last + 1
        self._last = time
        return time
