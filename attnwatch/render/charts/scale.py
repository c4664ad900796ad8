"""Round numbers along an axis, and text as it fits beside it."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

from matplotlib.axis import Axis

from attnwatch.analysis.notation import power_of, round_numbers, with_power
from attnwatch.render.text.fitting import fit
from attnwatch.render.text.lettering import Lettering
from attnwatch.render.text.measuring import Font
from attnwatch.render.text.plain import isolated

DPI = 300
"""Pixels per inch at which text is measured."""

SMALL = Font(7, DPI)
"""How everything in a chart is set."""

GREY = "0.35"
LINE = 0.5
"""Width of thin lines in points."""

_LEAST = 3  # numbers on an axis
_MARGIN = 0.08  # of the length of an axis, beyond the values


@dataclass(frozen=True)
class Scale:
    """An axis in units of a power of ten.

    Attributes:
        low: lower end.
        high: upper end.
        power: the power of ten that its numbers are multiples of.
        places: where numbers stand.
        labels: the numbers.

    """

    low: float
    high: float
    power: int
    places: tuple[float, ...]
    labels: tuple[str, ...]

    @classmethod
    def around(cls, values: Iterable[float], most: int) -> "Scale":
        """Return the axis around those values that are finite, with at most so many numbers, but at least three."""
        known = [value for value in values if isfinite(value)] or [0.0]
        low, high = min(known), max(known)
        margin = _MARGIN * (high - low) or abs(high) * _MARGIN or 1.0
        return cls.between(low - margin, high + margin, most)

    @classmethod
    def between(cls, low: float, high: float, most: int) -> "Scale":
        """Return the axis from one value to another, with at most so many numbers, but at least three."""
        power = power_of(low, high)
        found = round_numbers(low, high, most, least=_LEAST, power=power)
        return cls(low, high, power, tuple(place for place, _ in found), tuple(text for _, text in found))

    def named(self, label: str) -> str:
        """Return the label of the axis with the power of ten that its numbers are multiples of."""
        return with_power(label, self.power)

    def put_on(self, axis: Axis) -> None:
        """Give an axis these ends and numbers."""
        axis.set_view_interval(self.low, self.high, ignore=True)
        axis.set_ticks(self.places, list(self.labels), **fit("0", SMALL).style)
        axis.set_tick_params(length=2, width=LINE, pad=2)


def lettered(text: str, inches: float, lines: int = 2) -> Lettering:
    """Return a text that fits into a width."""
    return fit(text, SMALL, width=inches * DPI, lines=lines, balanced=True)


def named_difference(first: str, second: str, inches: float, lines: int = 1) -> str:
    """Return `second − first` in so many lines; if that is too long, the longer name is cut, or both, to one line."""
    room, sign = inches * DPI, " − "
    names = [isolated(second or "nothing"), isolated(first or "nothing")]  # each is read in its own direction
    if not (several := lettered(sign.join(names), inches, lines)).is_cut:
        return several.text
    whole = [fit(name, SMALL) for name in names]
    left = room - fit(sign, SMALL).width - 2 * fit("n", SMALL).width
    shares = [max(left / 2, left - other.width) for other in reversed(whole)]
    cut = (fit(name, SMALL, width=share, lines=1).text for name, share in zip(names, shares, strict=True))
    return sign.join(map(isolated, cut))
