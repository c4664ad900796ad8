"""Draws contact sheets, one picture per word: rows are prompts, columns are moments, all on one colour scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

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
from attnwatch.contract.receipts import describe
from attnwatch.contract.stamps import stamp_of
from attnwatch.errors import AttnwatchError, UnknownNameError
from attnwatch.render.colormap import yuv_tables
from attnwatch.render.colours import PIXEL_FORMAT, Colours
from attnwatch.render.compose import Enlarged, HeatPainter
from attnwatch.render.figure import missing_glyphs_allowed
from attnwatch.render.gamut import to_srgb
from attnwatch.render.labels import fitted, font_of, glyph_note
from attnwatch.render.maps import Scale, part_of, to_levels
from attnwatch.render.overlay import overlay
from attnwatch.render.source import open_source
from attnwatch.render.timeline import SourceFrame, Timeline
from attnwatch.settings import Visualization
from attnwatch.tensors.reduction import Float32Array

ROWS_PER_SHEET = 40
_MOMENTS = 6
_CELL, _LABEL, _BAR, _HEAD = 1.7, 2.2, 0.9, 0.5  # inches
_DPI = 100
_LABEL_WIDTH, _LABEL_LINES, _LINE_HEIGHT = 26, 8, 0.145  # columns; at most; inches
_REASON_WIDTH, _REASON_LINES = 120, 4
_CELL_PIXELS = 340  # twice the drawn width of a cell
_SMALL = 8  # points
_NO_CONTRAST = 1e-12

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Row:
    """One video in a sheet: times in seconds, and pictures of the map over the video as RGB, `[height, width, 3]`."""

    times: list[float]
    pictures: list[Picture]


@dataclass(frozen=True)
class _Gap:
    """A video that cannot be drawn, and why."""

    reason: str


def write_sheet(
    file: BinaryIO, manifests: Sequence[Manifest], slug: str, scale: Scale, settings: Visualization
) -> list[str]:
    """Draw one row per video: the map of a word over the video's frames at six moments.

    A video whose files were removed, or cannot be read, is a labelled gap.

    Args:
        file: the PNG file, open for writing.
        manifests: manifests of the videos that have the word, one per prompt, at most `ROWS_PER_SHEET`.
        slug: slug of the word.
        scale: attention at the ends of the colormap.
        settings: how overlays look, and the selected steps, layers and heads apply.

    Returns:
        Notes on what the sheet lacks.

    """
    rows = [_row_or_gap(manifest, slug, scale, settings) for manifest in manifests]
    shapes = [row.pictures[0].shape for row in rows if isinstance(row, _Row)]
    cell_height = max(2 * _LINE_HEIGHT, _CELL * (shapes[0][0] / shapes[0][1] if shapes else 1))
    lines = int(cell_height / _LINE_HEIGHT)
    labels = [_label(manifest, min(lines, _LABEL_LINES)) for manifest in manifests]
    width, height = _LABEL + _MOMENTS * _CELL + _BAR, _HEAD + len(rows) * cell_height
    figure = Figure(figsize=(width, height), dpi=_DPI)
    left, right, top = _LABEL / width, 1 - _BAR / width, 1 - _HEAD / height
    shape = {"left": left, "right": right, "top": top, "bottom": 0.0, "wspace": 0.02, "hspace": 0.04}
    grid = GridSpec(len(rows), _MOMENTS, figure, **shape)
    norm = Normalize(scale.low, scale.high if scale.high > scale.low else scale.low + _NO_CONTRAST)
    colormap = colormaps[settings.colormap].reversed() if settings.invert else colormaps[settings.colormap]
    for index, row in enumerate(rows):
        if isinstance(row, _Gap):
            reason = fitted(row.reason, _REASON_WIDTH, min(lines, _REASON_LINES))
            _write(figure.add_subplot(grid[index, :]), 0.5, 0.5, reason, ha="center")
        else:
            for column, seconds in enumerate(row.times):
                axes = figure.add_subplot(grid[index, column])
                axes.set_axis_off()
                axes.imshow(row.pictures[column])
                if index == 0:
                    axes.set_title(f"{seconds:.1f} s", fontsize=_SMALL)
        _write(figure, 0.08 / width, top - (index + 0.5) * cell_height / height, labels[index])
    _write(figure, 0.08 / width, 1 - 0.1 / height, _title(manifests[0], slug), va="top", fontsize=_SMALL + 4)
    bar = figure.add_axes((right + 0.12 / width, top * 0.1, 0.12 / width, top * 0.8))
    drawn = figure.colorbar(ScalarMappable(norm, colormap), cax=bar)
    drawn.ax.tick_params(labelsize=_SMALL)
    drawn.ax.set_title("attention\nprobability", fontsize=_SMALL, loc="left")
    with missing_glyphs_allowed():
        FigureCanvasAgg(figure).print_png(file)  # type: ignore[no-untyped-call]
    return _notes(rows, labels, slug)


def _notes(rows: Sequence["_Row | _Gap"], labels: Sequence[str], slug: str) -> list[str]:
    notes = [f"the contact sheet of {slug!r} lacks a video: {row.reason}" for row in rows if isinstance(row, _Gap)]
    glyphs = glyph_note("".join(labels))
    return notes if glyphs is None else [*notes, glyphs]


def _write(where: Figure | Axes, x: float, y: float, text: str, **how: object) -> None:
    """Write plain text at a place, in fonts that have its characters."""
    if isinstance(where, Axes):
        where.set_axis_off()
    # matplotlib would interpret dollar signs as math.
    style = {"va": "center", "fontsize": _SMALL, "fontfamily": font_of(text), **how}
    where.text(x, y, text.replace("$", r"\$"), **style)  # type: ignore[arg-type]


def _row_or_gap(manifest: Manifest, slug: str, scale: Scale, settings: Visualization) -> _Row | _Gap:
    removed = [path for path in manifest.attention if stamp_of(path) is None]
    if removed:
        return _Gap(f"{removed[0]} was removed after the rendering")
    try:
        return _row(manifest, slug, scale, settings)
    except (AttnwatchError, OSError) as error:
        return _Gap(describe(error))


def _row(manifest: Manifest, slug: str, scale: Scale, settings: Visualization) -> _Row:
    with open_attention(manifest) as reader:
        word = reader.words.get(slug)
        if word is None:
            raise UnknownNameError(f"{manifest.path}: found no word {slug!r}, which its receipt names; render it again")
        maps = word.frames(part_of(settings))
    with open_source(manifest, word.grid, turns=settings.rotation == "apply") as source:
        timeline = source.timeline
        moments = np.rint(np.linspace(0, timeline.frames - 1, _MOMENTS)).astype(int).tolist()
        frames = {index: _Frame.of(frame, timeline) for index, frame in enumerate(source.frames()) if index in moments}
    shown = [frames[min(moment, max(frames))] for moment in moments]
    own_ends = settings.model_copy(update={"normalization": "video"})  # those of the sheet hold for all its rows
    levels = to_levels(timeline.alignment(manifest.document).moments(maps, moments), own_ends, scale)
    return _Row(
        times=[frame.seconds for frame in shown],
        pictures=_over([frame.picture for frame in shown], levels.shares, timeline, settings),
    )


@dataclass(frozen=True)
class _Frame:
    """A frame of a video: its time in seconds, and its picture in the size of a cell, if it has one."""

    seconds: float
    picture: av.VideoFrame | None

    @classmethod
    def of(cls, frame: SourceFrame, timeline: Timeline) -> "_Frame":
        size, picture = _cell_size(timeline), frame.picture
        small = None if picture is None else picture.reformat(*size, format=PIXEL_FORMAT, threads=1)
        return cls(float(frame.pts * timeline.time_base), small)


def _cell_size(timeline: Timeline) -> tuple[int, int]:
    width = min(timeline.width, _CELL_PIXELS)
    return width, max(2, round(width / timeline.aspect / 2) * 2)


def _over(
    frames: Sequence[av.VideoFrame | None], shares: Float32Array, timeline: Timeline, settings: Visualization
) -> list[Picture]:
    """Lay maps over frames as in the overlays; maps alone where the video is absent."""
    tables = yuv_tables(settings.colormap, timeline.colours)
    painter = HeatPainter(*_cell_size(timeline), tables, settings.upsampling)
    laid = overlay(settings.overlay, tables, settings.overlay_alpha, inverted=settings.invert)
    pictures = []
    for frame, share in zip(frames, shares, strict=True):
        enlarged = Enlarged(painter, share)
        shown = painter.coloured(enlarged) if frame is None else laid.over(frame, enlarged)
        pictures.append(_rgb(shown, timeline.colours))
    return pictures


def _rgb(picture: av.VideoFrame, colours: Colours) -> Picture:
    rgb = picture.reformat(format="rgb24", src_colorspace=colours.matrix, threads=1).to_ndarray()
    return np.rint(255 * to_srgb(rgb / 255, colours.primaries)).astype(np.uint8)


def _title(manifest: Manifest, slug: str) -> str:
    texts = {token.slug: token.text for token in manifest.document.tokens}
    return f"“{texts.get(slug, slug)}”"


def _label(manifest: Manifest, lines: int) -> str:
    """Return the prompt and the seed in at most `lines` lines, which are at least 2."""
    prompt = manifest.document.generation.prompt or manifest.video_id
    seed = manifest.document.generation.seed
    if seed is None:
        return fitted(prompt, _LABEL_WIDTH, lines)
    return f"{fitted(prompt, _LABEL_WIDTH, lines - 1)}\nseed {seed}"
