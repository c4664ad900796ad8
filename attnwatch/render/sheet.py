"""Draws contact sheets, one picture per word: rows are prompts, columns are moments, all on one colour scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill, shorten

import av
import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from attnwatch.batches.videos import open_attention
from attnwatch.contract.manifest import Manifest
from attnwatch.render.figure import missing_glyphs_allowed
from attnwatch.render.maps import Scale, TimeMapping, part_of
from attnwatch.render.source import AbsentSource, VideoSource
from attnwatch.settings import Visualization
from attnwatch.tensors.reduction import Float32Array

ROWS_PER_SHEET = 40
_MOMENTS = 6
_CELL, _LABEL, _BAR, _HEAD = 1.7, 2.2, 0.9, 0.5  # inches
_DPI = 100
_LABEL_WIDTH, _LABEL_LENGTH = 26, 150  # characters
_CELL_PIXELS = 340  # twice the drawn width of a cell
_SMALL = 8  # points
_NO_CONTRAST = 1e-12

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Row:
    """One video in a sheet: times in seconds, frames as RGB, maps `[moment, height, width]`."""

    label: str
    times: list[float]
    frames: list[Picture]
    maps: Float32Array


def write_sheet(path: Path, manifests: Sequence[Manifest], slug: str, scale: Scale, settings: Visualization) -> None:
    """Draw one row per video: the map of a word over the video's frames at six moments.

    Args:
        path: the PNG file to write.
        manifests: manifests of the videos that have the word, one per prompt, at most `ROWS_PER_SHEET`.
        slug: slug of the word.
        scale: attention at the ends of the colormap.
        settings: colormap, `invert`, `threshold`, alpha, and the selected steps, layers and heads apply.

    """
    rows = [_row(manifest, slug, settings) for manifest in manifests]
    cell_height = _CELL * rows[0].frames[0].shape[0] / rows[0].frames[0].shape[1]
    width, height = _LABEL + _MOMENTS * _CELL + _BAR, _HEAD + len(rows) * cell_height
    figure = Figure(figsize=(width, height), dpi=_DPI)
    left, right, top = _LABEL / width, 1 - _BAR / width, 1 - _HEAD / height
    shape = {"left": left, "right": right, "top": top, "bottom": 0.0, "wspace": 0.02, "hspace": 0.04}
    grid = GridSpec(len(rows), _MOMENTS, figure, **shape)
    norm = Normalize(scale.low, scale.high if scale.high > scale.low else scale.low + _NO_CONTRAST)
    colormap = colormaps[settings.colormap].reversed() if settings.invert else colormaps[settings.colormap]
    for index, row in enumerate(rows):
        for column in range(_MOMENTS):
            _draw_cell(figure.add_subplot(grid[index, column]), row, column, ScalarMappable(norm, colormap), settings)
        middle = top - (index + 0.5) * cell_height / height
        figure.text(0.08 / width, middle, row.label, va="center", fontsize=_SMALL)
    figure.text(0.08 / width, 1 - 0.1 / height, _title(manifests[0], slug), va="top", fontsize=_SMALL + 4)
    for axes, seconds in zip(figure.axes[:_MOMENTS], rows[0].times, strict=True):
        axes.set_title(f"{seconds:.1f} s", fontsize=_SMALL)
    bar = figure.add_axes((right + 0.12 / width, top * 0.1, 0.12 / width, top * 0.8))
    drawn = figure.colorbar(ScalarMappable(norm, colormap), cax=bar)
    drawn.ax.tick_params(labelsize=_SMALL)
    drawn.ax.set_title("attention\nprobability", fontsize=_SMALL, loc="left")
    with missing_glyphs_allowed():
        FigureCanvasAgg(figure).print_png(path)  # type: ignore[no-untyped-call]


def _draw_cell(axes: Axes, row: _Row, column: int, colours: ScalarMappable, settings: Visualization) -> None:
    axes.set_axis_off()
    height, width = row.frames[column].shape[:2]
    extent = (0.0, float(width), float(height), 0.0)
    axes.imshow(row.frames[column], extent=extent)
    share = np.nan_to_num(np.clip(colours.norm(row.maps[column]), 0, 1))  # masked cells are the lower end
    share[share < settings.threshold] = 0
    alpha, cmap = settings.overlay_alpha, colours.cmap
    axes.imshow(share, cmap=cmap, vmin=0, vmax=1, alpha=alpha, extent=extent, interpolation="bilinear")


def _row(manifest: Manifest, slug: str, settings: Visualization) -> _Row:
    with open_attention(manifest) as reader:
        word = reader.words[slug]
        maps = word.frames(part_of(settings))
    source = VideoSource(manifest.video) if manifest.video.exists() else AbsentSource(manifest.document, word.grid)
    timeline = source.timeline
    moments = np.rint(np.linspace(0, timeline.frames - 1, _MOMENTS)).astype(int).tolist()
    width = min(timeline.width, _CELL_PIXELS)
    size = (width, max(1, round(width * timeline.height / timeline.width)))
    black = np.zeros((size[1], size[0], 3), np.uint8)
    frames: dict[int, tuple[float, Picture]] = {}
    for index, frame in enumerate(source.frames()):
        if index in moments:
            picture = black if frame.picture is None else _rgb(frame.picture, size)
            frames[index] = float(frame.pts * timeline.time_base), picture
    shown = [frames[min(moment, max(frames))] for moment in moments]
    mapping = TimeMapping.of(len(maps), timeline.frames, manifest.document.grid)
    return _Row(
        label=_label(manifest),
        times=[seconds for seconds, _ in shown],
        frames=[picture for _, picture in shown],
        maps=mapping.at(maps, np.array(moments, dtype=np.float64)),
    )


def _rgb(picture: av.VideoFrame, size: tuple[int, int]) -> Picture:
    small = picture.reformat(*size, format="rgb24", threads=1)
    return np.asarray(small.to_ndarray(), dtype=np.uint8)


def _title(manifest: Manifest, slug: str) -> str:
    texts = {token.slug: token.text for token in manifest.document.tokens}
    return f"“{texts.get(slug, slug)}”".replace("$", r"\$")


def _label(manifest: Manifest) -> str:
    prompt = manifest.document.generation.prompt or manifest.video_id
    seed = manifest.document.generation.seed
    text = fill(shorten(prompt, _LABEL_LENGTH, placeholder=" …"), _LABEL_WIDTH)
    # matplotlib would interpret dollar signs as math.
    return (text if seed is None else f"{text}\nseed {seed}").replace("$", r"\$")
