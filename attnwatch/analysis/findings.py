"""Says in words what a comparison found: a sentence for a paper for each result."""

from dataclasses import dataclass
from math import floor, isnan, log10

from attnwatch.analysis.comparison import Compared, Comparison
from attnwatch.analysis.notation import number, ten_to

_DIGITS = 2  # of the half-width of an interval, or of a difference without one
_MOST_DECIMALS = 5
_SMALLEST_P = 0.001
_PHRASES = {"model": "for the model {}", "image": "from the image {}", "batch": "in the batch {}"}


def sentence(result: Compared, comparison: Comparison) -> str:
    """Return a sentence for a paper about one result."""
    first, second = (choice_named(level) for level in (result.first, result.second))
    if result.is_shown and result.difference.mean != 0:
        found = result.measure.finding(comparison.word.label, is_more=result.difference.mean > 0)
        phrase = _PHRASES.get(comparison.by, "with {}").format
        return f"{found} {phrase(second)} than {phrase(first)} ({statistics(result, comparison)})."
    about = f"the {result.measure.label} of attention to {comparison.word.label}"
    between, found = f"{about} between {first} and {second}", statistics(result, comparison)
    said = f"No difference in {between} was shown ({found})"
    if result.is_too_small(comparison.tests):
        said = f"There were too few seeds to show a difference in {between} ({found})"
    return f"{said}; {further}." if (further := more_seeds(result, comparison)) else f"{said}."


def statistics(result: Compared, comparison: Comparison) -> str:
    """Return the figures of a result as they are written in a paper: difference, interval, effect size, p and n."""
    difference, written = result.difference, notation(result).written
    parts = [f"mean difference {written(difference.mean)}"]
    if not isnan(difference.low):
        parts.append(f"95 % CI {written(difference.low)} to {written(difference.high)}")
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


@dataclass(frozen=True)
class Notation:
    """How the numbers of a result are written: with so many decimals, as multiples of a power of ten."""

    decimals: int
    power: int = 0

    @property
    def unit(self) -> str:
        """The power of ten; empty if there is none."""
        return ten_to(self.power)

    def digits(self, value: float) -> str:
        """Return a number without the power of ten."""
        return number(value / 10.0**self.power, self.decimals)

    def written(self, value: float) -> str:
        """Return a number."""
        return f"{self.digits(value)} × {self.unit}" if self.power else self.digits(value)


def notation(result: Compared) -> Notation:
    """Return how the numbers of a result are written: with two digits of the half-width of the interval."""
    difference = result.difference
    half = abs(difference.mean) if isnan(difference.low) else (difference.high - difference.low) / 2
    largest = max(map(abs, result.means))
    smallest = half or largest
    if not smallest:
        return Notation(_DIGITS)
    decimals = _DIGITS - 1 - floor(log10(smallest))
    power = floor(log10(largest or smallest)) if decimals > _MOST_DECIMALS else 0
    return Notation(max(0, decimals + power), power)


def _correction(tests: int) -> str:
    return f" Holm-corrected for {tests} comparisons" if tests > 1 else ""


def _rounded(count: int) -> int:
    """Return an estimate with no more digits than it has meaning."""
    return count if count < 100 else round(count, _DIGITS - len(str(count)))  # noqa: PLR2004 - of two digits
