"""Writes the sound that belongs to the pictures of an overlay into a file of its own: copied, or encoded to AAC."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from attnwatch.media.sound import unit_of

_LEAD_IN = Fraction(1, 10)  # seconds of packets before the first one that is heard; Opus needs 80 ms
_NEW_START = 1  # seconds that a time lies before the end of the last one, if it does not just overlap
_TOLERANCE = Fraction(1, 50)  # seconds: nobody hears them, and filling them would click
_MOST_SILENCE = 600  # seconds without sound that are filled: a damaged time may be years away
_LEFT_OUT = Fraction(1, 2)  # seconds of sound after the last frame that are worth a note
_USUAL_RATE = 48_000
_BIT_RATE = 96_000  # per channel

_AFTER = "the sound after the last frame is left out"
_DAMAGED = "damaged parts of the sound are silent"
_GAP = f"the sound ends at a gap of more than {_MOST_SILENCE} s"

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Cut:
    """Where a sound belongs in an overlay.

    Attributes:
        shift: seconds that its times in the overlay are later than in the source.
        end: time in the overlay, in seconds, at which the last picture ends.

    """

    shift: Fraction
    end: Fraction


def copy(container: InputContainer, stream: AudioStream, track: Path, cut: Cut) -> list[str]:
    """Write the packets of a stream to an MP4 file; return notes on what is left out.

    Each is decoded first: where one is damaged, a browser would stop the whole overlay.

    Raises:
        av.FFmpegError, ValueError: one is damaged, or MP4 cannot hold them.

    """
    unit, copied = unit_of(stream), 0
    notes: list[str] = []
    shift = round(cut.shift / unit)
    with av.open(str(track), "w", format="mp4") as out:
        target = out.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if not packet.size or packet.pts is None:
                continue
            start = (packet.pts + shift) * unit
            if start >= cut.end:
                notes = [_AFTER] if start > cut.end + _LEFT_OUT else []
                if notes:
                    break
            elif start + (packet.duration or 0) * unit > -_LEAD_IN:
                packet.decode()
                packet.pts = packet.dts = packet.pts + shift
                packet.stream = target
                out.mux(packet)
                copied += 1
    _require_any(copied)
    return notes


def encode(container: InputContainer, stream: AudioStream, track: Path, cut: Cut) -> list[str]:
    """Decode a stream and write it as AAC to an MP4 file; return notes on what is left out or silent.

    Raises:
        av.FFmpegError, ValueError: nothing can be decoded.

    """
    rates, rate = av.Codec("aac", "w").audio_rates or [], stream.codec_context.sample_rate
    channels = min(2, stream.codec_context.channels)
    with av.open(str(track), "w", format="mp4") as out:
        decoded = _Decoded(stream, rate if rate in rates else _USUAL_RATE, "mono" if channels == 1 else "stereo")
        writer = _Writer(out, decoded.rate, decoded.layout, cut)
        for start, samples in decoded.samples(container):
            if not writer.write(start, samples):
                break
        writer.close()
    _require_any(writer.written)
    return [*writer.notes, *([_DAMAGED] if decoded.is_damaged else [])]


def _require_any(written: int) -> None:
    if not written:
        raise ValueError("nothing of it can be heard while there is a picture")


class _Decoded:
    """The samples of a stream, at one rate and in one layout.

    Attributes:
        rate: samples per second.
        layout: name of the layout of channels.
        is_damaged: whether something could not be decoded.

    """

    def __init__(self, stream: AudioStream, rate: int, layout: str) -> None:
        self._stream = stream
        self.rate = rate
        self.layout = layout
        self.is_damaged = False

    def samples(self, container: InputContainer) -> Iterator[tuple[Fraction | None, Samples]]:
        """Yield samples, `[channel, sample]`, each with the time of the first in seconds, None if that is unknown."""
        resampler, kind = self._resampler(), None
        for frame in self._frames(container):
            if kind not in (None, _kind(frame)):  # the stream goes on in another form
                yield from map(_timed, resampler.resample(None))
                resampler = self._resampler()
            kind = _kind(frame)
            yield from map(_timed, resampler.resample(frame))
        if kind is not None:
            yield from map(_timed, resampler.resample(None))

    def _resampler(self) -> AudioResampler:
        return AudioResampler(format="fltp", layout=self.layout, rate=self.rate)

    def _frames(self, container: InputContainer) -> Iterator[AudioFrame]:
        for packet in container.demux(self._stream):
            try:
                yield from packet.decode()
            except av.InvalidDataError:
                self.is_damaged = True


def _kind(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _timed(frame: AudioFrame) -> tuple[Fraction | None, Samples]:
    unit = frame.time_base or Fraction(1, frame.sample_rate)
    return None if frame.pts is None else frame.pts * unit, frame.to_ndarray().astype(np.float32, copy=False)


class _Writer:
    """Encodes samples without gaps, from the time 0 to the last picture.

    Attributes:
        written: number of samples per channel, without the silence before them.
        notes: what is left out.

    """

    def __init__(self, out: OutputContainer, rate: int, layout: str, cut: Cut) -> None:
        self._out, self._rate, self._layout = out, rate, layout
        self._stream = out.add_stream("aac", rate=rate, layout=layout)
        self._stream.codec_context.bit_rate = _BIT_RATE * self._stream.codec_context.channels
        self._shift, self._end = round(cut.shift * rate), round(cut.end * rate)
        self._position = 0
        self.written = 0
        self.notes: list[str] = []

    def write(self, start: Fraction | None, samples: Samples) -> bool:
        """Write samples that are heard at a time in the source; return whether later ones may be heard, too."""
        at = self._position if start is None else round(start * self._rate) + self._shift
        if self.written and self._position - at > _NEW_START * self._rate:  # times start again
            self._shift += self._position - at
            at = self._position
        if at >= self._end:
            self.notes += [_AFTER] * (at > self._end + _LEFT_OUT * self._rate)
            return not self.notes
        if at - self._position > _MOST_SILENCE * self._rate:
            self.notes.append(_GAP)
            return False
        if abs(at - self._position) > _TOLERANCE * self._rate or not self.written:
            self._fill(at)
            samples = samples[:, max(0, self._position - at) :]
        self.written += self._append(samples[:, : self._end - self._position])
        return True

    def close(self) -> None:
        """Flush the encoder."""
        self._out.mux(self._stream.encode(None))

    def _fill(self, until: int) -> None:
        """Append silence up to a position, a second at a time."""
        while (missing := until - self._position) > 0:
            self._append(np.zeros((self._stream.codec_context.channels, min(missing, self._rate)), np.float32))

    def _append(self, samples: Samples) -> int:
        count = int(samples.shape[1])
        if count:
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=self._layout)
            frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), self._position
            self._out.mux(self._stream.encode(frame))
            self._position += count
        return count
