"""Videos as they come out of other tools: cut, turned, tagged, joined, recorded from a screen."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.support import FPS, HEIGHT, WIDTH, write_source_video


def write_trimmed_video(path: Path, *, frames: int, hidden: int, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """Encode a video, then hide its first frames by an edit list, as cutting without encoding again does."""
    whole = write_source_video(path.with_name(f".{path.name}.whole"), width=width, height=height, frames=frames)
    with av.open(str(whole)) as source, av.open(str(path), "w", format="mp4") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size and packet.pts is not None and packet.dts is not None and packet.time_base is not None:
                shift = round(hidden / FPS / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                target.mux(packet)
    whole.unlink()
    return path


def turn(path: Path, matrix: tuple[float, float, float, float]) -> Path:
    """Write a matrix (a, b, c, d) into the track header: ISO/IEC 14496-12, section 8.3.2."""
    data = bytearray(path.read_bytes())
    a, b, c, d = (round(value * (1 << 16)) for value in matrix)
    start = data.index(b"tkhd") + 44
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def without_first_packet(folder: Path, gop: int = 6) -> Path:
    """Write 18 frames as they come out of a cut in the middle: what refers to the first one cannot be decoded."""
    path = folder / "a.ts"
    whole = write_source_video(folder / "whole.mp4", frames=18, gop=gop)
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in list(source.demux(video=0))[1:]:
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return path


def tagged(
    path: Path, matrix: int, primaries: int, transfer: int, *, pix_fmt: str = "yuv420p", level: int = 120
) -> Path:
    """Write grey frames with colour tags: codes of ITU-T H.273."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=16, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = matrix, primaries, transfer
        picture = np.full((48, 64, 3), level, np.uint8)
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)))
        container.mux(stream.encode(None))
    return path


def write_at(path: Path, times: Sequence[int]) -> Path:
    """Write frames at the given times in milliseconds, as screen recorders and joined files have them."""
    unit = Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = unit
        packets = []
        for index in range(len(times)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * index, np.uint8), format="rgb24")
            frame.pts, frame.time_base = 100 * index, unit
            packets += stream.encode(frame)
        for packet, time in zip([*packets, *stream.encode(None)], times, strict=True):
            packet.pts = packet.dts = time
            container.mux(packet)
    return path


def of_one_colour(path: Path, yuv: Sequence[int], size: tuple[int, int], tags: tuple[int, int, int]) -> Path:
    """Write two frames of 8-bit limited-range Y, U and V, with codes of matrix, primaries and transfer."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=16, options={"qp": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = tags
        for _ in range(2):
            frame = av.VideoFrame(*size, "yuv420p")
            for plane, value in zip(frame.planes, yuv, strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
