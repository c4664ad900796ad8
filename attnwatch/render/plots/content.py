"""What a figure shows, before it is laid out: cells in rows and columns, their labels, and colour bars."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attnwatch.tensors.reduction import Float32Array

Rgb = npt.NDArray[np.uint8]
"""A picture in sRGB, `[height, width, 3]`."""


@dataclass(frozen=True)
class MapCell:
    """A map alone, which is enlarged and coloured at the size at which it is drawn: `[rows, columns]`, 0..1."""

    shares: Float32Array


@dataclass(frozen=True)
class Path:
    """Where something moves in a picture.

    Attributes:
        places: x and y of each moment, as shares of the width and the height: `[moment, 2]`.
        colours: colour of each moment, in sRGB, 0..1: `[moment, 3]`.

    """

    places: npt.NDArray[np.float64]
    colours: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """One place of the grid.

    Attributes:
        content: a picture of the video, or a map alone.
        label: text above it; empty if the column has one.
        path: a line to draw over it.

    """

    content: Rgb | MapCell
    label: str = ""
    path: Path | None = None


@dataclass(frozen=True)
class Bar:
    """A colour bar, which tells what the colours of some cells mean.

    Attributes:
        ramp: its colours, from the lower to the upper end: `[length, width, 3]`.
        low: attention at the lower end.
        high: attention at the upper end.
        label: what it measures.
        rows: first and last row of the cells that it is for.
        columns: first and last column of these cells.
        is_below: whether it lies below its cells; else it is on the right of all cells.
        is_relative: whether each cell has ends of its own, which are not written then.

    """

    ramp: Rgb
    low: float
    high: float
    label: str
    rows: tuple[int, int]
    columns: tuple[int, int]
    is_below: bool = False
    is_relative: bool = False


@dataclass(frozen=True)
class Content:
    """A whole figure.

    Attributes:
        title: the prompt, or the name of the video.
        subtitle: what is shown, such as the moment and the denoising step.
        cells: the cells, row by row; rows may be of different lengths.
        bars: colour bars, in the order of their rows or columns.
        aspect: width of a cell divided by its height.
        columns: labels above the columns; empty if cells have their own.
        rows: labels on the left of the rows, each of one or more lines.
        across: what the columns are, above their labels; empty if the labels say it.
        down: what the rows are.

    """

    title: str
    subtitle: str
    cells: list[list[Cell]]
    bars: list[Bar]
    aspect: float
    columns: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    across: str = ""
    down: str = ""

    @property
    def width(self) -> int:
        """Number of columns."""
        return max(map(len, self.cells))
