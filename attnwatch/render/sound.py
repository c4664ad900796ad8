"""Adds the sound of a video to its finished overlays. Whatever is wrong with it, the overlays stay, without sound."""

import contextlib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from attnwatch.errors import AttnwatchError
from attnwatch.media.sound import can_be_copied, sound_of
from attnwatch.render.soundtrack import Cut, copy, encode
from attnwatch.render.source import VideoSource
from attnwatch.system.shortage import shortage_behind

_TRACK = "sound.partial"
_MERGED = ".sound"


def add_sound(source: VideoSource, overlays: Sequence[Path], shift: Fraction) -> list[str]:
    """Put the sound of a video into its overlays; return notes on what is left out and why.

    Args:
        source: the video.
        overlays: finished overlays of it, all with the same times.
        shift: seconds that a time in the overlays is later than in the video.

    Raises:
        VideoError: the video cannot be opened again.
        OSError: a disk or a limit is exhausted.

    """
    if not overlays or not source.has_sound:
        return []
    track = overlays[0].with_name(_TRACK)
    try:
        with _faults():
            cut = Cut(shift, _end(overlays[0]))
        notes = _write_track(source, track, cut)
        with _faults():
            for overlay in overlays:
                _merge(overlay, track)
    except _UnusableError as error:
        return [f"no sound in overlays: that of the video cannot be used ({error})"]
    finally:
        track.unlink(missing_ok=True)
    return notes


class _UnusableError(AttnwatchError):
    """A sound, or a part of it, that cannot be used; the message says why."""


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    """Raise what is the fault of a sound as `_UnusableError`; other errors are raised as they are."""
    try:
        yield
    except (av.FFmpegError, ValueError, ArithmeticError, MemoryError) as error:
        if shortage_behind(error) is not None:
            raise
        said = f"FFmpeg says: {error.strerror}" if isinstance(error, av.FFmpegError) else str(error)
        raise _UnusableError(said or "out of memory") from error


def _write_track(source: VideoSource, track: Path, cut: Cut) -> list[str]:
    """Write the sound to a file of its own: copied if possible, else encoded."""
    with source.opened() as container, _faults():
        count, stream = len(container.streams.audio), sound_of(container)
        copies = stream is not None and can_be_copied(container, stream)
    notes = [f"one of {count} sound tracks is kept, the one that players choose"] if count > 1 else []
    if copies:
        with contextlib.suppress(_UnusableError):  # MP4 cannot hold every form of a codec
            return [*notes, *_written(source, track, cut, copies=True)]
    return [*notes, *_written(source, track, cut, copies=False)]


def _written(source: VideoSource, track: Path, cut: Cut, *, copies: bool) -> list[str]:
    with source.opened() as container, _faults():
        stream = sound_of(container)
        if stream is None or stream.codec_context is None:
            raise ValueError("FFmpeg has no decoder for it")
        return (copy if copies else encode)(container, stream, track, cut)


def _end(overlay: Path) -> Fraction:
    """Return the time at which the last picture of a finished overlay ends, in seconds."""
    with av.open(str(overlay), format="mp4") as container:
        stream = container.streams.video[0]
        return ((stream.start_time or 0) + (stream.duration or 0)) * (stream.time_base or Fraction(0))


def _merge(overlay: Path, track: Path) -> None:
    """Add a sound track to an overlay. Until it is complete, the overlay stays as it is."""
    merged = overlay.with_name(overlay.name + _MERGED)
    try:
        with (
            av.open(str(overlay), format="mp4") as pictures,
            av.open(str(track), format="mp4") as sound,
            av.open(str(merged), "w", format="mp4", options={"movflags": "+faststart"}) as out,
        ):
            packets = [_packets(one, one.streams[0], out) for one in (pictures, sound)]
            for _, packet in heapq.merge(*packets, key=lambda timed: timed[0]):
                out.mux(packet)
        merged.replace(overlay)
    finally:
        merged.unlink(missing_ok=True)


def _packets(
    source: InputContainer, stream: Stream, out: OutputContainer
) -> Iterator[tuple[Fraction, "Packet[Stream]"]]:
    """Add a stream to a file; yield its packets, each with the time at which it is decoded, in seconds."""
    target = out.add_stream_from_template(stream)
    return _timed(source.demux(stream), target)


def _timed(packets: Iterable["Packet[Stream]"], target: Stream) -> Iterator[tuple[Fraction, "Packet[Stream]"]]:
    for packet in packets:
        if packet.size and packet.dts is not None:
            packet.stream = target
            yield packet.dts * (packet.time_base or Fraction(0)), packet
