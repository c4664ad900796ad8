"""How numbers are written in pictures and sentences: with a proper minus sign, as multiples of a power of ten."""

from itertools import count
from math import ceil, floor, isfinite, log10

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SMALLEST, _LARGEST = -2, 3  # powers of ten between which numbers are written out
_STEPS = (5, 2.5, 2, 1)  # from one round number to the next, times a power of ten
_ROUNDING = 1e-9


def number(value: float, decimals: int) -> str:
    """Return a number with so many decimals; zero has no sign."""
    text = f"{value:.{decimals}f}"
    return (text if float(text) else text.removeprefix("-")).replace("-", "−")


def power_of(*values: float) -> int:
    """Return the power of ten that some numbers are written as multiples of; 0 if they are written out."""
    largest = max(map(abs, values))
    power = floor(log10(largest)) if largest > 0 and isfinite(largest) else 0
    return 0 if _SMALLEST <= power <= _LARGEST else power


def ten_to(power: int) -> str:
    """Return a power of ten, such as `10⁻³`; empty if it is 1."""
    return f"10{str(power).translate(_SUPERSCRIPT)}" if power else ""


def with_power(label: str, power: int) -> str:
    """Return the label of an axis with the power of ten that its numbers are multiples of, behind its unit if any."""
    if not power:
        return label
    return f"{label.removesuffix(')')}, {ten_to(power)})" if label.endswith(")") else f"{label} ({ten_to(power)})"


def round_numbers(low: float, high: float, most: int, *, least: int = 0, power: int = 0) -> list[tuple[float, str]]:
    """Return round numbers of a scale, and how they are written: with as many decimals as their distance needs.

    Args:
        low: lower end of the scale.
        high: its upper end, which is larger.
        most: how many there may be, at least 2, unless `least` takes more.
        least: how many there must be.
        power: the power of ten that the texts are multiples of.

    """
    wanted = (high - low) / max(1, most - 1)
    size = floor(log10(wanted))
    steps = [factor * 10.0**tenfold for tenfold in (size + 1, size, size - 1) for factor in _STEPS]
    first = max(index for index, step in enumerate(steps) if step >= wanted * (1 - _ROUNDING))
    for step in steps[first:]:
        found = range(ceil(low / step - _ROUNDING), floor(high / step + _ROUNDING) + 1)
        if len(found) >= least:
            break
    decimals = _decimals(step / 10.0**power)
    return [(index * step, number(index * step / 10.0**power, decimals)) for index in found]


def _decimals(step: float) -> int:
    return next(places for places in count() if abs(round(step, places) - step) <= _ROUNDING * step)
