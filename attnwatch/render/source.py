"""Decodes the frames and timestamps of a video, or provides timestamps alone if the video is absent."""

import contextlib
from array import array
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from attnwatch.contract.documents import ManifestDocument
from attnwatch.contract.manifest import Manifest
from attnwatch.errors import VideoError
from attnwatch.media.container import open_video, unusable
from attnwatch.media.presentation import Presentation, presented
from attnwatch.media.sound import sound_of
from attnwatch.render.alignment import covered_frames
from attnwatch.render.colours import ColourPlan, Colours, Converter
from attnwatch.render.orientation import UPRIGHT, Orientation, orientation_of
from attnwatch.render.timeline import DEFAULT_RATE, Clock, SourceFrame, Timeline

_LOWEST_STATED_RATE = Fraction(1, 1000)
# What x264 and MP4 can be told; each frame has its exact time regardless. A file of less than 1 ms would show nothing.
_LOWEST_RATE, _HIGHEST_RATE = Fraction(1, 10_000), Fraction(1000)
_LATENT_CELL = 16  # pixels per latent token if the manifest does not state the size


class AbsentSource:
    """Timestamps for an absent video; size and frame count come from the manifest, else from the latent grid.

    Attributes:
        timeline: size and timing.
        notes: remarks for the receipt.
        size: width and height, not rounded to even ones.

    """

    def __init__(self, document: ManifestDocument, grid: tuple[int, int, int]) -> None:
        stated = document.generation
        width, height = stated.width or grid[2] * _LATENT_CELL, stated.height or grid[1] * _LATENT_CELL
        rate = max(_LOWEST_STATED_RATE, Fraction(stated.fps).limit_denominator(1001)) if stated.fps else DEFAULT_RATE
        frames = stated.frames or (grid[0] if document.grid is None else covered_frames(document.grid))
        self.notes = (f"no overlay: the video {document.video} is absent",)
        self.size = (width, height)
        self.timeline = Timeline(
            width=_even(width),
            height=_even(height),
            frames=frames,
            rate=rate,
            time_base=1 / rate,
            colours=Colours.usual(height),
        )

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the timestamps, one unit of the time base apart."""
        return (SourceFrame(index, 1, None) for index in range(self.timeline.frames))


class VideoSource:
    """A video file; each call of `frames` decodes it from start to end.

    Args:
        file: the file, open for reading as long as it is decoded.
        name: name of the file, for errors.
        turns: whether a picture that its header turns or mirrors is shown that way; it is refused otherwise.

    Attributes:
        timeline: size and timing. Frames are counted without decoding; if decoding to the end finds another number,
            this changes to what was found.
        notes: remarks for the receipt.
        has_sound: whether the file has a stream of sound.

    Raises:
        VideoError: the file contains no decodable video.

    """

    def __init__(self, file: BinaryIO, name: str, *, turns: bool = False) -> None:
        self._file, self._name, self._turns = file, name, turns
        with open_video(file, name) as (container, stream):
            self._size = (stream.codec_context.width, stream.codec_context.height)
            self._plan = ColourPlan.of(stream.codec_context)
            self.has_sound = sound_of(container) is not None
            shown = presented(container, stream)
            if shown.frames == 0:
                raise unusable(name, "a video stream of 0 frames")
            self._orientation = self._of_first_frame() if turns else UPRIGHT
            self.timeline = self._timeline(stream, shown)
            self._usual = max(1, round(1 / (_rate(stream) * self.timeline.time_base)))
        self.notes = (self._plan.note,) if self._plan.note else ()

    @contextlib.contextmanager
    def opened(self) -> Iterator[InputContainer]:
        """Open the file for what else is in it."""
        with open_video(self._file, self._name) as (container, _):
            yield container

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as shown, not rounded to even ones."""
        return self._size[::-1] if self._orientation.swaps_sides else self._size

    @property
    def is_hdr(self) -> bool:
        """Whether its pictures are mapped from high to standard dynamic range."""
        return self._plan.hdr is not None

    def _of_first_frame(self) -> Orientation:
        with open_video(self._file, self._name) as (container, stream):
            first = next(container.decode(stream), None)
            return UPRIGHT if first is None else self._orientation_of(first)

    def _timeline(self, stream: VideoStream, shown: Presentation) -> Timeline:
        rate, aspect = _rate(stream), stream.sample_aspect_ratio or Fraction(1)
        width, height = map(_even, self._size)
        if self._orientation.swaps_sides:
            width, height, aspect = height, width, 1 / aspect
        return Timeline(
            width=width,
            height=height,
            frames=shown.frames,
            rate=min(max(rate, _LOWEST_RATE), _HIGHEST_RATE),
            time_base=Fraction(stream.time_base or 1 / rate),
            colours=self._plan.colours,
            pixel_aspect=aspect,
            times=shown.times,
        )

    def frames(self) -> Iterator[SourceFrame]:
        """Decode and yield all frames as limited-range yuv420p, at times that increase.

        Raises:
            VideoError: the data is damaged, the picture changes its size, or the header turns it.

        """
        converter, clock = Converter(self._plan), Clock(self._usual)
        times, rotation = array("q"), 0
        with open_video(self._file, self._name) as (container, stream):
            stream.thread_type = "NONE"
            for frame in container.decode(stream):
                if not times:
                    self._orientation_of(frame)
                    rotation = frame.rotation
                self._require_same(frame, rotation, len(times) + 1)
                times.append(clock.time(frame.pts))
                picture = self._orientation.shown(converter.picture(frame))
                yield SourceFrame(times[-1], frame.duration or self._usual, picture)
        if not times:
            raise unusable(self._name, "no frame that can be decoded")
        if len(times) != self.timeline.frames:
            self.timeline = replace(self.timeline, frames=len(times), times=times)

    def _require_same(self, frame: av.VideoFrame, rotation: int, number: int) -> None:
        if (frame.width, frame.height) != self._size:
            width, height = self._size
            raise VideoError(
                f"{self._name}: found {frame.width} x {frame.height} pixels in frame {number}, and {width} x {height} "
                "elsewhere in the file; expected one size in the whole video, because maps fit one picture; encode it "
                "again at one size"
            )
        if frame.rotation != rotation:
            raise VideoError(
                f"{self._name}: found frame {number} turned another way than the frames before; expected one way up "
                "in the whole video; encode it again"
            )

    def _orientation_of(self, frame: av.VideoFrame) -> Orientation:
        found = orientation_of(frame)
        if found is None:
            raise VideoError(
                f"{self._name}: found a header that turns the picture by {frame.rotation} degrees; expected quarter "
                "turns at most; encode it again without rotation"
            )
        if not found.is_upright and not self._turns:
            # It is unknown whether the maps refer to the picture as stored or as shown.
            raise VideoError(
                f"{self._name}: found a header that {found}; expected a video stored upright; encode it again without "
                "rotation, or set rotation to apply if the maps refer to the picture as it is shown"
            )
        return found


@contextlib.contextmanager
def open_source(
    manifest: Manifest, grid: tuple[int, int, int], *, turns: bool = False
) -> Iterator[VideoSource | AbsentSource]:
    """Open the video of a manifest, or what stands in for it if it is absent.

    Args:
        manifest: manifest of the video.
        grid: latent `(frames, height, width)` of its maps.
        turns: see `VideoSource`.

    Raises:
        VideoError: the file contains no decodable video.
        OSError: it cannot be opened.

    """
    try:
        file = manifest.open_file(manifest.video)
    except FileNotFoundError:
        yield AbsentSource(manifest.document, grid)
        return
    with file:
        yield VideoSource(file, str(manifest.video), turns=turns)


def read_timeline(manifest: Manifest, grid: tuple[int, int, int]) -> Timeline:
    """Return when the frames of a video are shown, if possible without decoding any; raises as `open_source`."""
    try:
        file = manifest.open_file(manifest.video)
    except FileNotFoundError:
        return AbsentSource(manifest.document, grid).timeline
    with file, open_video(file, str(manifest.video), decodes=False) as (container, stream):
        shown, rate = presented(container, stream), _rate(stream)
        if shown.times:
            width, height = _even(stream.width), _even(stream.height)
            time_base = Fraction(stream.time_base or 1 / rate)
            return Timeline(width, height, shown.frames, rate, time_base, Colours.usual(height), times=shown.times)
    with open_source(manifest, grid, turns=True) as source:
        return source.timeline


def _rate(stream: VideoStream) -> Fraction:
    return Fraction(stream.average_rate or stream.guessed_rate or DEFAULT_RATE)


def _even(size: int) -> int:
    """Round down to an even size, as 4:2:0 requires; dropping the last row or column shifts nothing."""
    return max(2, size // 2 * 2)
