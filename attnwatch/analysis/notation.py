"""How numbers are written in pictures and sentences: with a proper minus sign, as multiples of a power of ten."""

from math import floor, isfinite, log10

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SMALLEST, _LARGEST = -2, 3  # powers of ten between which numbers are written out


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
