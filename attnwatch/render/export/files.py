"""Writes the pictures of an export: numbered images, or a film."""

import contextlib
import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Protocol, Self, cast

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from attnwatch.render.encoding_errors import in_our_words, require_small_numbers
from attnwatch.render.export.formats import Format
from attnwatch.render.export.moments import Moment
from attnwatch.render.timeline import Timeline
from attnwatch.system.folders import Folder
from attnwatch.tensors.reduction import Float32Array


@dataclass(frozen=True)
class Encoder:
    """How pictures are encoded.

    Attributes:
        kind: file format.
        size: width and height in pixels.
        pixel_aspect: width of a pixel divided by its height.
        rate: frames per second.
        threads: number of pictures that are encoded at the same time.

    """

    kind: Format
    size: tuple[int, int]
    pixel_aspect: Fraction
    rate: Fraction
    threads: int = 1

    def open(self) -> VideoCodecContext:
        """Return an encoder that makes one packet of each picture: of an image, all of its file."""
        context = av.Codec(self.kind.codec, "w").create("video")
        context.time_base, context.framerate = 1 / self.rate, self.rate
        self.set_up(context)
        return context

    def set_up(self, context: VideoCodecContext) -> None:
        """Tell an encoder everything except times."""
        self.kind.describe(context, self.size, self.pixel_aspect)
        context.options = dict(self.kind.options)
        context.thread_count, context.thread_type = self.threads, "FRAME"

    def alone(self, values: Float32Array) -> bytes:
        """Return a single picture, `[height, width]`, encoded."""
        context = self.open()
        return b"".join(map(bytes, (*context.encode(self.kind.picture(values)), *context.encode(None))))


class Pictures(Protocol):
    """Takes the pictures of one word, one after the other; a context manager that finishes the files."""

    def __enter__(self) -> Self:
        """Start."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the files, unless there is an error."""

    def write(self, values: Float32Array, moment: Moment | None) -> None:
        """Append a picture, `[height, width]`."""


class Images:
    """Numbered images.

    Args:
        folder: the folder to write to.
        names: pattern of their names, as for printf.
        encoder: how they are encoded.
        first: number of the first one.

    """

    def __init__(self, folder: Folder, names: str, encoder: Encoder, first: int) -> None:
        self._folder, self._names, self._number = folder, names, first
        self._kind, self._context, self._given = encoder.kind, encoder.open(), 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            with _translated(self._names):
                self._write(self._context.encode(None))

    def write(self, values: Float32Array, moment: Moment | None) -> None:  # noqa: ARG002 - images have no time
        """Append a picture, `[height, width]`."""
        picture = self._kind.picture(values)
        picture.pts, self._given = self._given, self._given + 1
        with _translated(self._names):
            self._write(self._context.encode(picture))

    def _write(self, packets: Iterable["Packet[VideoStream]"]) -> None:
        for packet in packets:
            with self._folder.create(self._names % self._number) as file:
                file.write(packet)
                file.flush()
                os.fsync(file.fileno())
            self._number += 1


class Film:
    """One MOV file with the times of the video, the first frame at 0.

    Args:
        folder: the folder to write to.
        name: name of the file.
        encoder: how pictures are encoded.
        timeline: timing of the video.

    """

    def __init__(self, folder: Folder, name: str, encoder: Encoder, timeline: Timeline) -> None:
        require_small_numbers(name, timeline.rate, timeline.time_base, "export images")
        self._folder, self._name, self._kind, self._time_base = folder, name, encoder.kind, timeline.time_base
        self._first: int | None = None
        self._durations: deque[int] = deque()  # of the pictures that are being encoded
        self._container = av.open(str(folder.handle / name), "w", format="mov")
        self._stream = cast(VideoStream, self._container.add_stream(encoder.kind.codec, rate=encoder.rate))
        encoder.set_up(self._stream.codec_context)
        self._stream.codec_context.time_base = timeline.time_base

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            with contextlib.suppress(av.FFmpegError):  # the first error tells more
                self._container.close()
            return
        with _translated(self._name):
            self._mux(self._stream.encode(None))
            self._container.close()
        with self._folder.open_file(self._name) as file:
            os.fsync(file.fileno())

    def write(self, values: Float32Array, moment: Moment | None) -> None:
        """Append a picture, `[height, width]`, to be shown at a moment."""
        assert moment is not None  # noqa: S101 - for the type checker: there is no film of the grid
        self._first = moment.pts if self._first is None else self._first
        picture = self._kind.picture(values)
        picture.pts, picture.time_base = moment.pts - self._first, self._time_base
        self._durations.append(moment.duration)
        with _translated(self._name):
            self._mux(self._stream.encode(picture))

    def _mux(self, packets: Iterable["Packet[VideoStream]"]) -> None:
        for packet in packets:
            packet.duration = self._durations.popleft()  # the encoder does not pass it on
            self._container.mux(packet)


def _translated(name: str) -> contextlib.AbstractContextManager[None]:
    found, expected = "a picture that cannot be written", "one that this format can hold"
    return in_our_words(name, found, expected, "try another --format")
