"""Where something is in a figure, in units of 1/300 inch from its upper left corner."""

from collections.abc import Iterator
from dataclasses import dataclass

from attnwatch.render.boxes import Box
from attnwatch.render.plots.content import Bar, Cell
from attnwatch.render.plots.ticks import Ticks
from attnwatch.render.text.lettering import Align, Lettering

UNITS_PER_INCH = 300


@dataclass(frozen=True)
class Placed:
    """A text in a box.

    Attributes:
        text: the lines.
        box: the place that it takes.
        align: where in the box its lines stand.
        colour: as in matplotlib.
        is_turned: whether it is read from below upwards.

    """

    text: Lettering
    box: Box
    align: Align = "start"
    colour: str = "black"
    is_turned: bool = False


@dataclass(frozen=True)
class PlacedBar:
    """A colour bar in a box: lying below its cells, or upright on their right."""

    bar: Bar
    box: Box
    ticks: Ticks

    @property
    def ends(self) -> tuple[float, float]:
        """Attention at its ends; they differ."""
        return self.bar.low, self.bar.high if self.bar.high > self.bar.low else self.bar.low + 1

    def numbers(self) -> Iterator[tuple[str, float]]:
        """Yield each number, and where it is between the ends, 0..1."""
        low, high = self.ends
        for place, label in zip(self.ticks.places, self.ticks.labels, strict=True):
            yield label, min(max((place - low) / (high - low), 0), 1)


@dataclass(frozen=True)
class Layout:
    """A figure: its width and height, and what is where."""

    width: int
    height: int
    cells: tuple[tuple[Cell, Box], ...]
    texts: tuple[Placed, ...]
    bars: tuple[PlacedBar, ...]
