"""Baselines that make the same pictures: a matplotlib figure per frame, and RGB frames as with OpenCV."""

from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from attnwatch.contract.manifest import read_manifest
from attnwatch.render.encode import Encoder
from attnwatch.render.maps import TimeMapping, to_levels
from attnwatch.render.source import VideoSource
from attnwatch.settings import Visualization
from attnwatch.tensors.reader import AttentionReader


@contextmanager
def _prepared(manifest_path: Path):
    manifest = read_manifest(manifest_path)
    with AttentionReader(manifest) as reader:
        (word,) = reader.words.values()
        maps = word.frames()
    with manifest.open_file(manifest.video) as file:
        source = VideoSource(file, manifest.video.name)
        frames = source.timeline.frames
        mapped = TimeMapping.of(len(maps), frames, None).at(maps, np.arange(frames, dtype=np.float64))
        yield source, to_levels(mapped, Visualization()).shares


def _encoder(path: Path, source: VideoSource) -> Encoder:
    timeline = source.timeline
    return Encoder(
        path,
        width=timeline.width,
        height=timeline.height,
        rate=timeline.rate,
        time_base=timeline.time_base,
        colours=timeline.colours,
        quality="fast",
    )


def figure_per_frame(manifest: Path, folder: Path) -> None:
    """Draw a figure with the map and one with the overlay for each frame, as the predecessor of this system did."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with (
        _prepared(manifest) as (source, shares),
        _encoder(folder / "a.mp4", source) as attention,
        _encoder(folder / "o.mp4", source) as overlay,
    ):
        timeline = source.timeline
        size = (timeline.width / 100, timeline.height / 100)
        for share, frame in zip(shares, source.frames(), strict=False):
            for encoder, below in ((attention, None), (overlay, frame.picture)):
                figure = Figure(figsize=size, dpi=100)
                axes = figure.add_axes((0, 0, 1, 1))
                axes.set_axis_off()
                extent = (0, timeline.width, timeline.height, 0)
                if below is not None:
                    axes.imshow(below.to_ndarray(format="rgb24"), extent=extent)
                alpha = 1.0 if below is None else 0.6
                axes.imshow(share, cmap="hot", vmin=0, vmax=1, alpha=alpha, extent=extent, interpolation="bilinear")
                canvas = FigureCanvasAgg(figure)
                canvas.draw()
                rgb = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
                picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
                encoder.write(picture, frame.pts, frame.duration)


def rgb_frames(manifest: Path, folder: Path) -> None:
    """Resize, colour with a table, blend in RGB, convert to YUV: the usual OpenCV method, here with swscale."""
    from matplotlib import colormaps

    table = (colormaps["hot"](np.arange(256))[:, :3] * 255).astype(np.uint8)
    with (
        _prepared(manifest) as (source, shares),
        _encoder(folder / "a.mp4", source) as attention,
        _encoder(folder / "o.mp4", source) as overlay,
    ):
        timeline = source.timeline
        for share, frame in zip(shares, source.frames(), strict=False):
            small = av.VideoFrame.from_ndarray((share * 255).astype(np.uint8), format="gray")
            grey = small.reformat(timeline.width, timeline.height).to_ndarray()
            heat = table[grey]
            below = frame.picture.to_ndarray(format="rgb24").astype(np.float32)
            mixed = (0.4 * below + 0.6 * heat).astype(np.uint8)
            for encoder, rgb in ((attention, heat), (overlay, mixed)):
                picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
                encoder.write(picture, frame.pts, frame.duration)
