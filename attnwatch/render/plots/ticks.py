"""Numbers beside a colour bar."""

from collections.abc import Sequence
from dataclasses import dataclass

from attnwatch.analysis.notation import number
from attnwatch.render.plots.content import Bar

_ROUNDING = 1e-6  # of the length of the bar
_PAIR = 2  # numbers that it takes to make a scale


@dataclass(frozen=True)
class Ticks:
    """Where numbers stand beside a bar, in attention, and how they are written."""

    places: tuple[float, ...]
    labels: tuple[str, ...]


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
    if decimals < 0:
        return tuple(text.replace("-", "−") for text in shortest)
    return tuple(number(value, decimals) for value in values)
