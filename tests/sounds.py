"""Videos with sound: short bursts of a tone, half a second apart, whose times can be found again."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from tests.support import HEIGHT, WIDTH

FRAMES, FPS = 33, 16
CLICKS = [0.25, 0.75, 1.25, 1.75, 2.25]  # seconds
_BURST = 0.01  # seconds

Samples = npt.NDArray[np.float32]


def write_with_sound(
    path: Path,
    codec: str = "aac",
    *,
    rate: int = 44_100,
    layout: str = "stereo",
    seconds: float = 2.6,
    frames: int = FRAMES,
    picture_from: float = 0.0,
    sound_from: float = 0.0,
    gap: tuple[float, float] = (0.0, 0.0),
    tracks: int = 1,
    hidden: float = 0.0,
) -> Path:
    """Write a video with bursts of sound.

    Args:
        path: the file; its suffix decides on the format.
        codec: encoder of the sound.
        rate: samples per second.
        layout: name of the layout of channels.
        seconds: length of the sound.
        frames: number of frames.
        picture_from: time of the first frame in seconds.
        sound_from: time of the first sample in seconds.
        gap: packets of sound that begin between these times are missing.
        tracks: number of streams of sound.
        hidden: seconds at the beginning that an edit list hides.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=FPS, options={"bf": "0", "preset": "ultrafast"})
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sounds = [container.add_stream(codec, rate=rate, layout=layout) for _ in range(tracks)]
        packets: list[av.Packet] = []
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), 5 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            packets += _shifted(picture.encode(frame), picture_from - hidden)
        packets += _shifted(picture.encode(None), picture_from - hidden)
        for sound in sounds:
            encoded = [*sound.encode(_bursts(rate, layout, seconds)), *sound.encode(None)]
            kept = [packet for packet in encoded if not gap[0] <= packet.pts * packet.time_base < gap[1]]
            packets += _shifted(kept, sound_from - hidden)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def _bursts(rate: int, layout: str, seconds: float) -> av.AudioFrame:
    times = np.arange(round(seconds * rate)) / rate
    wave = 0.8 * np.sin(2 * np.pi * 1000 * times) * ((times % 0.5 >= CLICKS[0]) & (times % 0.5 < CLICKS[0] + _BURST))
    samples = np.repeat(wave[None].astype(np.float32), av.AudioLayout(layout).nb_channels, axis=0)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
    frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
    return frame


def _shifted(packets: Sequence[av.Packet], seconds: float) -> list[av.Packet]:
    for packet in packets:
        shift = round(seconds / packet.time_base)
        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
    return list(packets)


def heard(path: Path) -> list[float]:
    """Return when bursts begin in a video, in seconds after its first frame is shown."""
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
    bursts, last = [], -1.0
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.best("audio")):
            levels = np.abs(frame.to_ndarray())
            levels = (
                levels.max(axis=0) if frame.format.is_planar else levels.reshape(-1, frame.layout.nb_channels).max(1)
            )
            loud = np.flatnonzero(levels > (0.2 if levels.dtype.kind == "f" else 0.2 * np.iinfo(levels.dtype).max))
            for time in frame.time + loud / frame.sample_rate:
                if time - last > 2 * _BURST:
                    bursts.append(float(time) - picture.time)
                last = time
    return bursts


def sound_codecs(path: Path) -> list[str]:
    """Return the codecs of the streams of sound in a file."""
    with av.open(str(path)) as container:
        return [stream.codec.canonical_name for stream in container.streams.audio]


def sound_packets(path: Path) -> list[bytes]:
    """Return the packets of the sound of a file."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def scramble_sound(path: Path, first: float = 0.0) -> Path:
    """Overwrite the packets of the sound from a time on with noise."""
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(7)
    with av.open(str(path)) as container:
        for packet in container.demux(audio=0):
            if packet.size and packet.pts * packet.time_base >= first:
                where = data.index(bytes(packet))
                data[where : where + packet.size] = noise.bytes(packet.size)
    path.write_bytes(data)
    return path
