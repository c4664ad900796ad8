"""Draws a laid-out figure with matplotlib."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.image import AxesImage

from attnwatch.render.boxes import Box
from attnwatch.render.plots.bars import TICK
from attnwatch.render.plots.content import Content, MapCell, Path, Rgb
from attnwatch.render.plots.layout import laid_out
from attnwatch.render.plots.placed import UNITS_PER_INCH, Layout, Placed, PlacedBar
from attnwatch.render.plots.plot import Plot
from attnwatch.render.plots.subject import Subject

_MANY = 100  # maps that are drawn as one picture
_LINE = 0.5  # points
_PATH, _OUTLINE, _END = 1.6, 0.5, 5.0  # points: width of a path and of its outline, size of the marks at its ends
_POINTS_PER_UNIT = 72 / UNITS_PER_INCH
_WHITE = 255

Painter = Callable[[MapCell, int, int], Rgb]


def drawn(content: Content, subject: Subject, notes: Sequence[str]) -> Plot:
    """Return a figure, with remarks about it."""
    layout, dpi = laid_out(content, subject.asked), subject.asked.dpi
    plot = Plot((layout.width / UNITS_PER_INCH, layout.height / UNITS_PER_INCH), dpi, subject.about(content), notes)
    canvas = _canvas(plot, layout)
    # By default, matplotlib would show the pixels of a small video as squares.
    interpolation = "auto" if subject.settings.upsampling == "nearest" else "hanning"
    for picture, box in _pictures(layout, subject.painted, dpi):
        _show(canvas, picture, box, interpolation)
    for cell, box in layout.cells:
        if cell.path is not None and len(cell.path.places):
            _draw_path(canvas, cell.path, box)
    for bar in layout.bars:
        _draw_bar(plot, layout, bar)
    for text in layout.texts:
        _write(plot, layout, text)
    return plot


def _canvas(plot: Plot, layout: Layout) -> Axes:
    """Return invisible axes over the whole figure, whose coordinates are those of the layout."""
    canvas = plot.add_axes((0, 0, 1, 1))
    canvas.set_axis_off()
    canvas.set_xlim(0, layout.width)
    canvas.set_ylim(layout.height, 0)
    return canvas


def _pictures(layout: Layout, painter: Painter, dpi: int) -> Iterator[tuple[Rgb, Box]]:
    """Yield the pictures to show; many maps as a single one, because each costs time and space of its own."""
    maps = [(cell.content, box) for cell, box in layout.cells if isinstance(cell.content, MapCell)]
    for cell, box in layout.cells:
        if not isinstance(cell.content, MapCell):
            yield cell.content, box
    if len(maps) > _MANY:
        yield _mosaic(maps, painter, dpi / UNITS_PER_INCH)
    else:
        for one, box in maps:
            yield painter(one, *(max(1, round(side * dpi / UNITS_PER_INCH)) for side in (box.width, box.height))), box


def _mosaic(maps: list[tuple[MapCell, Box]], painter: Painter, per_unit: float) -> tuple[Rgb, Box]:
    """Return one picture of all maps, white in between."""
    left, top = min(box.left for _, box in maps), min(box.top for _, box in maps)
    right, bottom = max(box.right for _, box in maps), max(box.bottom for _, box in maps)
    whole = Box(left, top, right - left, bottom - top)
    mosaic = np.full((round(whole.height * per_unit), round(whole.width * per_unit), 3), _WHITE, np.uint8)
    for one, box in maps:
        x, y = round((box.left - left) * per_unit), round((box.top - top) * per_unit)
        width, height = max(1, round(box.width * per_unit)), max(1, round(box.height * per_unit))
        part = mosaic[y : y + height, x : x + width]
        part[:] = painter(one, width, height)[: part.shape[0], : part.shape[1]]
    return mosaic, whole


def _show(canvas: Axes, picture: Rgb, box: Box, interpolation: str) -> None:
    extent = (box.left, box.right, box.bottom, box.top)
    image = AxesImage(canvas, extent=extent, origin="upper", interpolation=interpolation)
    image.set_data(picture)
    canvas.add_image(image)


def _draw_path(canvas: Axes, path: Path, box: Box) -> None:
    """Draw a line, outlined in black, from a ring, where it begins, to a dot."""
    points = np.array([box.left, box.top]) + path.places * [box.width, box.height]
    pieces, width = np.stack([points[:-1], points[1:]], axis=1), _PATH
    for colours, points_wide in (("black", width + 2 * _OUTLINE), (path.colours[1:], width)):
        canvas.add_collection(LineCollection(list(pieces), colors=colours, linewidths=points_wide, capstyle="round"))
    first, last = {"mfc": "white", "mec": path.colours[0], "mew": _PATH}, {"mfc": path.colours[-1], "mec": "black"}
    for (x, y), look in ((points[0], first), (points[-1], {**last, "mew": _OUTLINE})):
        canvas.plot(x, y, "o", ms=_END, zorder=3, **look)


def _draw_bar(plot: Plot, layout: Layout, placed: PlacedBar) -> None:
    box, bar = placed.box, placed.bar
    left, bottom = box.left / layout.width, 1 - box.bottom / layout.height
    axes = plot.add_axes((left, bottom, box.width / layout.width, box.height / layout.height))
    if not bar.is_below:
        axes.imshow(bar.ramp, aspect="auto", origin="lower", extent=(0, 1, *placed.ends))
        axes.set_xticks([])
        axes.yaxis.tick_right()
    else:
        axes.imshow(bar.ramp.swapaxes(0, 1), aspect="auto", origin="lower", extent=(*placed.ends, 0, 1))
        axes.set_yticks([])
    axis = axes.xaxis if bar.is_below else axes.yaxis
    axis.set_ticks(placed.ticks.places, [""] * len(placed.ticks.places))
    axes.tick_params(length=TICK * _POINTS_PER_UNIT, width=_LINE)
    for spine in axes.spines.values():
        spine.set_linewidth(_LINE)


def _write(plot: Plot, layout: Layout, placed: Placed) -> None:
    text, box = placed.text, placed.box
    if not placed.is_turned:
        text.draw(plot, box.left, box.top, width=box.width, align=placed.align, color=placed.colour)
        return
    x, y = (box.left + box.width / 2) / layout.width, 1 - (box.top + box.height / 2) / layout.height
    how = {**text.style, "ha": "center", "va": "center", "rotation": 90, "color": placed.colour}
    plot.text(x, y, text.text, **how, multialignment="center")
