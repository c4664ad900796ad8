"""Numbers beside a colour bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10

from attnwatch.render.plots.content import Bar

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SMALLEST, _LARGEST = -2, 3  # powers of ten that are written out
_ROUNDING = 1e-6  # of the length of the bar
_PAIR = 2  # numbers that it takes to make a scale


@dataclass(frozen=True)
class Ticks:
    """Where numbers stand beside a bar, in attention, and how they are written."""

    places: tuple[float, ...]
    labels: tuple[str, ...]


def power_of(bars: Sequence[Bar]) -> int:
    """Return the power of ten that the numbers beside some bars are multiples of; 0 if they are written out."""
    largest = max(max(abs(bar.low), abs(bar.high)) for bar in bars)
    power = floor(log10(largest)) if largest > 0 and isfinite(largest) else 0
    return 0 if _SMALLEST <= power <= _LARGEST else power


def with_power(label: str, power: int) -> str:
    """Return the label of a bar with the power of ten that its numbers are multiples of."""
    return f"{label} (10{str(power).translate(_SUPERSCRIPT)})" if power else label


def ticks(bar: Bar, power: int, most: int) -> Ticks:
    """Return the numbers beside a bar: round ones, at most about so many; of two, the outermost."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - takes half a second

    if bar.is_relative:
        return Ticks((bar.low, bar.high), ("lowest", "highest"))
    if bar.low == bar.high:
        return Ticks((bar.low,), (_written([bar.low / 10.0**power])))
    spare = _ROUNDING * (bar.high - bar.low)
    found = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(bar.low, bar.high)
    places = [float(place) for place in found if bar.low - spare <= place <= bar.high + spare]
    if len(places) < _PAIR:
        places = [bar.low, bar.high]
    if most == _PAIR:
        places = [places[0], places[-1]]
    return Ticks(tuple(places), _written([place / 10.0**power for place in places]))


def _written(values: Sequence[float]) -> tuple[str, ...]:
    """Return numbers with as many decimals as the one that needs most."""
    shortest = [f"{value:.3g}" for value in values]
    decimals = (
        max(len(text.partition(".")[2]) for text in shortest) if not any("e" in text for text in shortest) else -1
    )
    texts = shortest if decimals < 0 else [f"{value:.{decimals}f}" for value in values]
    return tuple(text.replace("-", "−") for text in texts)
