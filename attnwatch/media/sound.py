"""Finds the sound of a video, and tells from its packets, without decoding, whether they can be copied."""

from fractions import Fraction

from av.audio.stream import AudioStream
from av.container import InputContainer

# What all current browsers and players play in MP4. It can hold ALAC, AC-3 and others too, which many of them refuse.
_PLAYED_EVERYWHERE = frozenset({"aac", "mp3", "opus", "flac"})
_TOLERANCE = Fraction(1, 50)  # seconds; files with times in milliseconds round the time of each packet


def sound_of(container: InputContainer) -> AudioStream | None:
    """Return the stream of sound that players choose; None if there is none."""
    stream = container.streams.best("audio")
    return stream if isinstance(stream, AudioStream) and stream.time_base else None


def unit_of(stream: AudioStream) -> Fraction:
    """Return the seconds per unit of the times of a stream."""
    return stream.time_base or Fraction(1, stream.codec_context.sample_rate)


def can_be_copied(container: InputContainer, stream: AudioStream) -> bool:
    """Read the packets of a stream; return whether an MP4 file with the same ones sounds the same everywhere.

    They must follow one another without a gap, because players differ in what they do then. An edit list may hide some
    at the beginning and at the end, but none in between.
    """
    if stream.codec_context is None or stream.codec_context.codec.canonical_name not in _PLAYED_EVERYWHERE:
        return False
    unit, end = unit_of(stream), None
    has_ended = False
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if packet.is_discard:
            has_ended = end is not None
            continue
        if has_ended or packet.pts is None or not packet.duration or packet.is_corrupt:
            return False
        start = packet.pts * unit
        if end is not None and abs(start - end) > _TOLERANCE:
            return False
        end = start + packet.duration * unit
    return end is not None
