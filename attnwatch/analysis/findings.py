"""Says in words what a comparison found: a sentence for a paper for each result."""

from math import floor, isnan, log10

from attnwatch.analysis.comparison import Compared, Comparison

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_DIGITS = 2  # of the half-width of an interval, or of a difference without one
_MOST_DECIMALS = 5
_SMALLEST_P = 0.001
_PHRASES = {"model": "for the model {}", "batch": "in the batch {}"}


def sentence(result: Compared, comparison: Comparison) -> str:
    """Return a sentence for a paper about one result."""
    first, second = (choice_named(level) for level in (result.first, result.second))
    if result.is_shown and result.difference.mean != 0:
        found = result.measure.finding(comparison.word, is_more=result.difference.mean > 0)
        phrase = _PHRASES.get(comparison.by, "with {}").format
        return f"{found} {phrase(second)} than {phrase(first)} ({statistics(result, comparison)})."
    about = f"the {result.measure.label} of attention to {comparison.word}"
    said = f"No difference in {about} between {first} and {second} was shown ({statistics(result, comparison)})"
    return f"{said}; {further}." if (further := more_seeds(result, comparison)) else f"{said}."


def statistics(result: Compared, comparison: Comparison) -> str:
    """Return the figures of a result as they are written in a paper: difference, interval, effect size, p and n."""
    difference, decimals = result.difference, decimals_of(result)
    parts = [f"mean difference {number(difference.mean, decimals)}"]
    if not isnan(difference.low):
        parts.append(f"95 % CI {number(difference.low, decimals)} to {number(difference.high, decimals)}")
    if not isnan(difference.effect):
        parts.append(f"{'d' if result.is_paired else 'g'} = {number(difference.effect, _DIGITS - 1)}")
    parts.append(f"p {p_value(result.corrected, sign=True)}{_correction(comparison.tests)}")
    parts.append(f"n = {seeds(result)}")
    return ", ".join(parts)


def more_seeds(result: Compared, comparison: Comparison) -> str | None:
    """Return how many seeds more would show a difference of this size; None if nothing is known about it."""
    more = result.more_seeds(comparison.tests)
    if more is None:
        return None
    seeds = "seed" if more == 1 else "seeds"
    return f"about {_rounded(more):,} more {seeds} would show a difference of this size in four of five experiments"


def seeds(result: Compared) -> str:
    """Return how many seeds were compared: `12 seeds`, or of unpaired choices `12 and 10 seeds`."""
    first, second = result.difference.counts
    if result.is_paired:
        return f"{first} seed{'' if first == 1 else 's'}"
    return f"{first} and {second} seeds, unpaired"


def choice_named(level: str) -> str:
    """Return a choice as it stands in a sentence."""
    return f"'{level}'" if level else "nothing"


def p_value(p: float, *, sign: bool = False) -> str:
    """Return a p-value as it is written in a paper: `0.012`, `<0.001`; with a sign, `= 0.012`, `< 0.001`."""
    if isnan(p):
        return "unknown" if sign else ""
    if p < _SMALLEST_P:
        return f"< {_SMALLEST_P}" if sign else f"<{_SMALLEST_P}"
    return f"= {p:.3f}" if sign else f"{p:.3f}"


def decimals_of(result: Compared) -> int:
    """Return with how many decimals a difference is told: two digits of the half-width of its interval."""
    difference = result.difference
    size = abs(difference.mean) if isnan(difference.low) else (difference.high - difference.low) / 2
    size = size or max(map(abs, result.means))
    return max(0, _DIGITS - 1 - floor(log10(size))) if size else _DIGITS


def number(value: float, decimals: int) -> str:
    """Return a number with so many decimals; very small ones as multiples of a power of ten."""
    if decimals <= _MOST_DECIMALS:
        text = f"{value:.{decimals}f}"
        return (text if float(text) else text.removeprefix("-")).replace("-", "−")
    power = -decimals + _DIGITS - 1
    text = f"{value / 10.0**power:.{_DIGITS - 1}f}".replace("-", "−")
    return f"{text} × 10{str(power).translate(_SUPERSCRIPT)}"


def _correction(tests: int) -> str:
    return f" Holm-corrected for {tests} comparisons" if tests > 1 else ""


def _rounded(count: int) -> int:
    """Return an estimate with no more digits than it has meaning."""
    return count if count < 100 else round(count, _DIGITS - len(str(count)))  # noqa: PLR2004 - of two digits
