"""Figure pages with title, colorbar and counter, drawn once with matplotlib and pasted into every frame."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Colorspace
from rich.cells import cell_len, set_cell_size

from attnwatch.render.colormap import UInt8Array, rgb_to_yuv
from attnwatch.render.colours import PIXEL_FORMAT, Colours
from attnwatch.render.compose import pixels
from attnwatch.render.labels import font_of, is_wide, wrapped
from attnwatch.render.maps import Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100
_TEXT_SIZE = 11  # points
_TITLE_ADVANCE = 9  # approximate width of a title character in pixels
_DIGIT_CELL = (20, 9)  # height and width in pixels of one digit of the counter


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels with even edges, so that it covers whole chroma samples."""

    left: int
    top: int
    width: int
    height: int


class Page:
    """A drawn page with boxes for pictures and an optional counter.

    Args:
        rgb: the page, `[height, width, 3]`, 0..1; height and width even.
        boxes: positions of the pictures.
        colours: colours of the frames.
        counter: left and top of the counter's first digit; None for no counter.
        digits: number of digits of the counter.

    """

    def __init__(
        self,
        rgb: npt.NDArray[np.float64],
        boxes: Sequence[Box],
        colours: Colours,
        *,
        counter: tuple[int, int] | None = None,
        digits: int = 0,
    ) -> None:
        self.boxes = tuple(boxes)
        self._planes = _subsampled(rgb, colours)
        self._counter = counter if counter is not None and counter[0] >= 0 else None  # none if the page is too narrow
        self._digits = digits

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self._planes[0].shape
        return width, height

    def compose(self, pictures: Sequence[av.VideoFrame], number: int | None = None) -> av.VideoFrame:
        """Return the page with a picture in each box and the counter at `number`."""
        width, height = self.size
        frame = av.VideoFrame(width, height, PIXEL_FORMAT)
        for plane, drawn in zip(frame.planes, self._planes, strict=True):
            pixels(plane)[:] = drawn
        for box, picture in zip(self.boxes, pictures, strict=True):
            _paste(frame, box, picture)
        if self._counter is not None and number is not None:
            self._count(pixels(frame.planes[0]), str(number).rjust(self._digits))
        return frame

    def _count(self, luma: UInt8Array, text: str) -> None:
        assert self._counter is not None  # noqa: S101 - for the type checker: the caller checked it
        left, top = self._counter
        rows, columns = _DIGIT_CELL
        for position, digit in enumerate(text):
            if digit != " ":
                start = left + position * columns
                luma[top : top + rows, start : start + columns] = _digit_luma()[int(digit)]


def attention_page(
    size: tuple[float, float],
    title: str,
    aspect: float,
    colours: Colours,
    *,
    colormap: str,
    scale: Scale,
    scale_label: str,
    colorbar: bool,
    frames: int | None,
) -> Page:
    """Draw the page of one word: title, box for the map, colorbar in attention units, frame counter.

    Args:
        size: width and height in inches.
        title: text above the map.
        aspect: width of the map divided by its height.
        colours: colours of the frames.
        colormap: name of the matplotlib colormap.
        scale: attention at the ends of the colormap.
        scale_label: label of the colorbar, with its unit.
        colorbar: whether to draw the colorbar.
        frames: number of frames, for the counter; None for no counter.

    """
    figure = _figure(size)
    axes = figure.add_axes((0.06, 0.12, 0.76 if colorbar else 0.88, 0.76))
    axes.set_xlim(0, aspect)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.set_axis_off()
    wide = is_wide(title)  # matplotlib breaks lines only at spaces
    text = wrapped(title, round(0.9 * size[0] * DPI) // _TITLE_ADVANCE) if wide else title
    axes.set_title(text, fontsize=_TEXT_SIZE + 2, fontfamily=font_of(text), wrap=not wide)
    axes.apply_aspect()
    if colorbar:
        _draw_colorbar(figure, axes.get_position().bounds, colormap, scale, scale_label)
    counter = _draw_counter(figure, "frame", frames) if frames is not None else None
    rgb = _drawn(figure)
    box = _even_box(axes.get_window_extent().bounds, rgb.shape[0])
    return Page(rgb, [box], colours, counter=counter, digits=len(str(frames)) if frames else 0)


def grid_page(
    size: tuple[int, int],
    boxes: Sequence[Box],
    labels: Sequence[str],
    *,
    title: str,
    colours: Colours,
    steps: int,
) -> Page:
    """Draw a page of `size` pixels with labelled boxes and, beside the title, a counter up to `steps`."""
    figure = _figure((size[0] / DPI, size[1] / DPI))
    width, height = size
    for box, label in zip(boxes, labels, strict=True):
        x, y = (box.left + box.width / 2) / width, 1 - (box.top + box.height + 3) / height
        figure.text(x, y, label, ha="center", va="top", fontsize=_TEXT_SIZE - 3)
    counter = _draw_counter(figure, "step", steps, top=True)
    room = max(1, (counter[0] - 60) // _TITLE_ADVANCE)  # characters that fit beside the counter and its name
    text = set_cell_size(title, room - 1).rstrip() + "…" if cell_len(title) > room else title
    where = 6 / width, 1 - 6 / height
    figure.text(*where, text, ha="left", va="top", fontsize=_TEXT_SIZE, fontfamily=font_of(text))
    return Page(_drawn(figure), boxes, colours, counter=counter, digits=len(str(steps)))


@contextlib.contextmanager
def missing_glyphs_allowed() -> Iterator[None]:
    """Suppress warnings about characters missing from the installed fonts; matplotlib draws them as boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def figure_size(size: tuple[float, float]) -> tuple[int, int]:
    """Return the width and height in pixels, both even, of a figure of a size in inches."""
    width, height = (round(side * DPI / 2) * 2 for side in size)
    return width, height


def _figure(size: tuple[float, float]) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - only for figures
    from matplotlib.figure import Figure  # noqa: PLC0415

    width, height = (side / DPI for side in figure_size(size))
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def _drawn(figure: "Figure") -> npt.NDArray[np.float64]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - only for figures

    canvas = FigureCanvasAgg(figure)
    with missing_glyphs_allowed():
        canvas.draw()  # type: ignore[no-untyped-call]
    rgb = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    return rgb.astype(np.float64) / 255


def _draw_colorbar(
    figure: "Figure", bounds: tuple[float, float, float, float], colormap: str, scale: Scale, label: str
) -> None:
    from matplotlib.cm import ScalarMappable  # noqa: PLC0415 - only for figures
    from matplotlib.colors import Normalize  # noqa: PLC0415

    left, bottom, width, height = bounds
    axes = figure.add_axes((left + width + 0.015, bottom, 0.025, height))
    low, high = (scale.low, scale.high) if scale.low != scale.high else (scale.low, scale.low + 1e-12)
    bar = figure.colorbar(ScalarMappable(Normalize(low, high), colormap), cax=axes)
    bar.set_label(label, fontsize=_TEXT_SIZE)
    axes.ticklabel_format(axis="y", scilimits=(-2, 3))


def _draw_counter(figure: "Figure", name: str, last: int, *, top: bool = False) -> tuple[int, int]:
    """Draw `name` before and `/ last` after the counter; return the left and top of the counter's first digit."""
    width, height = (round(side * DPI) for side in figure.get_size_inches())
    rows, columns = _DIGIT_CELL
    digits = len(str(last))
    from_top = 4 if top else height - rows - 8
    right = width - 12 - columns * (digits + 3)
    left = right - digits * columns
    y = 1 - (from_top + rows / 2) / height
    for x, text, side in (((right + 4) / width, f"/ {last}", "left"), ((left - 4) / width, name, "right")):
        figure.text(x, y, text, ha=side, va="center_baseline", fontsize=_TEXT_SIZE, family="monospace")
    return left, from_top


def _write_cell(figure: "Figure", char: str, left: int, top: int) -> None:
    width, height = figure.get_size_inches() * DPI
    rows, columns = _DIGIT_CELL
    x, y = (left + columns / 2) / width, 1 - (top + rows / 2) / height
    figure.text(x, y, char, ha="center", va="center_baseline", fontsize=_TEXT_SIZE, family="monospace")


@lru_cache(maxsize=1)
def _digit_luma() -> UInt8Array:
    """Return the ten digits, black on white: `[10, rows, columns]` of luma."""
    rows, columns = _DIGIT_CELL
    figure = _figure((10 * columns / DPI, rows / DPI))
    for digit in range(10):
        _write_cell(figure, str(digit), digit * columns, 0)
    luma = rgb_to_yuv(_drawn(figure), Colours.of_matrix(Colorspace.ITU709))[0]
    return luma[:rows].reshape(rows, 10, columns).swapaxes(0, 1)


def _even_box(bounds: tuple[float, float, float, float], page_height: int) -> Box:
    """Convert matplotlib bounds (origin at the lower left) to a box on even pixels (origin at the upper left)."""
    left, bottom, width, height = bounds
    top = page_height - bottom - height
    return Box(round(left / 2) * 2, round(top / 2) * 2, max(2, round(width / 2) * 2), max(2, round(height / 2) * 2))


def _paste(frame: av.VideoFrame, box: Box, picture: av.VideoFrame) -> None:
    for plane, source in zip(frame.planes, picture.planes, strict=True):
        subsampling = frame.width // plane.width
        left, top = box.left // subsampling, box.top // subsampling
        part = pixels(source)[: box.height // subsampling, : box.width // subsampling]
        pixels(plane)[top : top + part.shape[0], left : left + part.shape[1]] = part


def _subsampled(rgb: npt.NDArray[np.float64], colours: Colours) -> tuple[UInt8Array, UInt8Array, UInt8Array]:
    """Convert a page to YUV 4:2:0; each chroma sample is the mean of four pixels."""
    height, width = rgb.shape[0] // 2 * 2, rgb.shape[1] // 2 * 2
    rgb = rgb[:height, :width]
    luma, _, _ = rgb_to_yuv(rgb, colours)
    quarters = rgb.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    _, blue, red = rgb_to_yuv(quarters, colours)
    return luma, blue, red
