"""Colour bars: the colours of a map or of an overlay from the lower end of the scale to the upper one."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import av
import numpy as np

from attnwatch.analysis.notation import number, power_of, round_numbers, ten_to, with_power
from attnwatch.render.boxes import Box
from attnwatch.render.maps import Scale
from attnwatch.render.pages.canvas import Canvas
from attnwatch.render.pages.lines import TextStyle
from attnwatch.tensors.reduction import Float32Array

Painted = Callable[[Float32Array, tuple[int, int]], av.VideoFrame]
"""Paints shares of the scale, `[rows, columns]`, 0..1, as an output shows them, in a width and height, both even."""

_DIGITS = range(3, 10)  # significant ones of the ends of the scale: as few as tell them apart
_PAIR = 2  # numbers that it takes to make a scale
_SHADES = 256  # of a bar
_FRAME = 0.06  # em; the line around a bar


class Label(NamedTuple):
    """What is written beside a colour bar: the quantity and, perhaps, how the picture shows it."""

    quantity: str
    remark: str = ""

    def text(self, power: int = 0) -> str:
        """Return the label, with the power of ten that values which stand apart from it are multiples of."""
        about = with_power(self.quantity, power)
        return f"{about}, {self.remark}" if self.remark else about


@dataclass(frozen=True)
class ColourBar:
    """What a colour bar shows.

    Attributes:
        painted: paints it.
        scale: attention at the ends of the colormap; the first is the larger one if the colours are reversed.
        labels: what it is about, from the longest wording to the shortest.

    """

    painted: Painted
    scale: Scale
    labels: tuple[Label, ...]

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest attention of the scale."""
        return min(self.scale.low, self.scale.high), max(self.scale.low, self.scale.high)

    @property
    def end_texts(self) -> tuple[str, str]:
        """Both ends of the scale, as multiples of the power of ten, with as few digits as tell them apart."""
        low, high = (end / self._unit for end in self.ends)
        size = math.floor(math.log10(max(abs(low), abs(high)))) if low or high else 0
        texts = "", ""
        for digits in _DIGITS:
            decimals = max(0, digits - 1 - size)
            texts = _text(low, decimals), _text(high, decimals)
            if texts[0] != texts[1] or low == high:
                break
        return texts

    @property
    def power(self) -> int:
        """The power of ten that the numbers are multiples of; 0 if they are neither very small nor very large."""
        return power_of(*self.ends)

    @property
    def unit(self) -> str:
        """What follows a number, such as `× 10⁻³`; empty if the numbers are written out."""
        return f"× {ten_to(self.power)}" if self.power else ""

    @property
    def end_numbers(self) -> tuple[str, str]:
        """Both ends of the scale, for where no label has the power of ten: each with its own."""
        low, high = (text if text == "0" else f"{text} {self.unit}".strip() for text in self.end_texts)
        return low, high

    def label(self, style: TextStyle, room: int) -> str:
        """Return the longest label that fits into a number of pixels, or only the power of ten; empty if none does."""
        wordings = (*(label.text(self.power) for label in self.labels), self.unit)
        return next((wording for wording in wordings if style.width(wording) <= room), "")

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Return at most so many round values within the scale, as shares of it, with their texts; else both ends."""
        low, high = self.ends
        if not high > low:
            return [(0.5, self.end_texts[0])]
        found = round_numbers(low, high, most, power=self.power)
        if len(found) < _PAIR:
            return list(zip((0.0, 1.0), self.end_texts, strict=True))
        return [((value - low) / (high - low), text) for value, text in found]

    @property
    def _unit(self) -> float:
        return 10.0**self.power


Fixed = tuple[Box, av.VideoFrame]
"""A picture that is the same in every frame, and where it belongs."""


def draw_bar(canvas: Canvas, box: Box, bar: ColourBar, style: TextStyle, *, upwards: bool) -> Fixed:
    """Draw a thin line around a colour bar.

    Args:
        canvas: the page.
        box: the bar itself, with even edges.
        bar: what it shows.
        style: of the texts beside it.
        upwards: whether attention rises upwards, or else to the right.

    Returns:
        The picture of the bar, to be pasted into the page.

    """
    rising = np.linspace(0, 1, _SHADES, dtype=np.float32)
    ramp = rising[::-1, None] if upwards else rising[None, :]
    line = max(1, round(_FRAME * style.size))
    canvas.fill(Box(box.left - line, box.top - line, box.width + 2 * line, box.height + 2 * line))
    return box, bar.painted(np.ascontiguousarray(ramp), box.size)


def _text(value: float, decimals: int) -> str:
    text = number(value, decimals)
    return text if value and float(f"{value:.{decimals}f}") else "0"
