"""Numbers beside a colour bar."""

from dataclasses import dataclass

from attnwatch.analysis.notation import round_numbers
from attnwatch.render.plots.content import Bar

_PAIR = 2  # numbers that it takes to make a scale


@dataclass(frozen=True)
class Ticks:
    """Where numbers stand beside a bar, in attention, and how they are written."""

    places: tuple[float, ...]
    labels: tuple[str, ...]


def ticks(bar: Bar, power: int, most: int) -> Ticks:
    """Return the numbers beside a bar: round ones, at most so many, but at least two; of two, the outermost."""
    if bar.is_relative:
        return Ticks((bar.low, bar.high), ("lowest", "highest"))
    if bar.low == bar.high:
        return Ticks((bar.low,), (f"{bar.low / 10.0**power:.3g}".replace("-", "−"),))
    found = round_numbers(bar.low, bar.high, most, least=_PAIR, power=power)
    if most == _PAIR:
        found = [found[0], found[-1]]
    return Ticks(tuple(place for place, _ in found), tuple(text for _, text in found))
