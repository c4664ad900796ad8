"""Makes a moving picture for slides and web pages from a finished video: GIF or WebP, repeated without end."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.format import VideoFormat
from av.video.stream import VideoStream

from attnwatch.render.colours import srgb
from attnwatch.render.side_by_side.clock import Shown, at_ticks
from attnwatch.render.side_by_side.limits import Details
from attnwatch.render.source import VideoSource

DETAILS = {
    ".gif": Details((256, 128, 64), "{} colours"),
    ".webp": Details((80, 60, 40, 25), "quality {}"),
}
"""What can be reduced of each format, down to the coarsest that still shows what is to be seen."""

_FASTEST = {".gif": Fraction(50), ".webp": Fraction(60)}  # frames per second; browsers slow down what is faster
_UNIT = {".gif": Fraction(1, 100), ".webp": Fraction(1, 1000)}  # seconds per unit of time in the file
_RGB = "rgb24"
_DITHERING = "dither=bayer:bayer_scale=4:diff_mode=rectangle"  # a fixed pattern, so that what stands still stays equal


def fastest(suffix: str, rate: Fraction) -> Fraction:
    """Return a rate, or the highest one of a format if that is lower."""
    return min(rate, _FASTEST[suffix])


def animate(video: Path, path: Path, rate: Fraction, detail: int) -> int:
    """Write a finished video as GIF or WebP; return the number of frames.

    Args:
        video: an MP4 file.
        path: the file to write; its suffix is `.gif` or `.webp`.
        rate: frames per second.
        detail: number of colours of a GIF, quality of a WebP (0 to 100).

    Raises:
        OSError: a file cannot be read or written.

    """
    suffix = path.suffix.lower()
    with video.open("rb") as file:
        source = VideoSource(file, video.name)
        write = _write_gif if suffix == ".gif" else _write_webp
        return write(_Frames(source, rate, _UNIT[suffix]), path, detail)


class _Frames:
    """The frames of a video at a rate, in sRGB. Each iteration decodes it anew."""

    def __init__(self, source: VideoSource, rate: Fraction, unit: Fraction) -> None:
        self._source, self.rate, self.unit = source, rate, unit
        self.size = source.timeline.width, source.timeline.height

    def packed(self, pixel_format: str) -> Iterator[av.VideoFrame]:
        """Yield the frames in a packed format, with their times."""
        timeline = self._source.timeline
        for tick, shown in enumerate(_until_the_end(at_ticks(self._source.frames(), timeline.time_base, self.rate))):
            assert shown.picture is not None  # noqa: S101 - for the type checker: a file has pictures
            levels = srgb(shown.picture, timeline.colours)
            frame = av.VideoFrame.from_ndarray(levels, format=_RGB).reformat(format=pixel_format, threads=1)
            starts, ends = (round(number / self.rate / self.unit) for number in (tick, tick + 1))
            frame.pts, frame.duration, frame.time_base = starts, ends - starts, self.unit
            yield frame


def _until_the_end(shown: Iterator[Shown]) -> Iterator[Shown]:
    for one in shown:
        if one.has_ended:
            return
        yield one


def _write_gif(frames: _Frames, path: Path, colours: int) -> int:
    """Write a GIF with one palette for all frames, in two passes, so that none of them stays in memory."""
    palette = _palette(frames, colours)
    graph = Graph()
    pictures = _input(graph, frames.size, VideoFormat(_RGB), frames.unit)
    colour_table = _input(graph, (palette.width, palette.height), palette.format, frames.unit)
    use, sink = graph.add("paletteuse", _DITHERING), graph.add("buffersink")
    pictures.link_to(use, 0, 0)
    colour_table.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    palette.pts, palette.time_base = 0, frames.unit
    colour_table.push(palette)
    colour_table.push(None)

    def coloured() -> Iterator[av.VideoFrame]:
        for frame in frames.packed(_RGB):
            pts, duration = frame.pts, frame.duration
            pictures.push(frame)
            shown = _pulled(sink)
            shown.pts, shown.duration, shown.time_base = pts, duration, frames.unit
            yield shown

    return _written(coloured(), path, frames, ("gif", "gif", "pal8"), {})


def _palette(frames: _Frames, colours: int) -> av.VideoFrame:
    graph = Graph()
    pictures = _input(graph, frames.size, VideoFormat(_RGB), frames.unit)
    generate, sink = graph.add("palettegen", f"max_colors={colours}"), graph.add("buffersink")
    graph.link_nodes(pictures, generate, sink).configure()
    for frame in frames.packed(_RGB):
        pictures.push(frame)
    pictures.push(None)
    return _pulled(sink)


def _input(graph: Graph, size: tuple[int, int], pixel_format: VideoFormat, unit: Fraction) -> FilterContext:
    return graph.add_buffer(width=size[0], height=size[1], format=pixel_format, time_base=unit)


def _pulled(sink: FilterContext) -> av.VideoFrame:
    frame = sink.pull()
    assert isinstance(frame, av.VideoFrame)  # noqa: S101 - for the type checker: a graph of pictures
    return frame


def _write_webp(frames: _Frames, path: Path, quality: int) -> int:
    return _written(frames.packed("bgra"), path, frames, ("webp", "libwebp_anim", "bgra"), {"quality": str(quality)})


def _written(
    pictures: Iterator[av.VideoFrame],
    path: Path,
    frames: _Frames,
    kind: tuple[str, str, str],
    options: dict[str, str],
) -> int:
    """Encode pictures to a file that is repeated without end; return their number."""
    container_format, codec, pixel_format = kind
    count = 0
    with av.open(str(path), "w", format=container_format, options={"loop": "0"}) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=frames.rate, options=options))
        stream.width, stream.height = frames.size
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = frames.unit
        for picture in pictures:
            container.mux(stream.encode(picture))
            count += 1
        container.mux(stream.encode(None))
    return count
