"""Compares the measures of videos that differ in one choice."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan

from attnwatch.analysis.contrasts import Contrast, Pairs
from attnwatch.analysis.named import MEASURES, USUAL, Measure, measure_named
from attnwatch.analysis.statistics import LEVEL, Difference, holm, paired, pairs_needed, smallest_p, unpaired
from attnwatch.analysis.table import Row
from attnwatch.analysis.tracked import Word, rows_about, video_of
from attnwatch.errors import ConfigError, did_you_mean

Seeds = Mapping[int, float]
"""The value of each seed."""


@dataclass(frozen=True)
class Compared:
    """One measure of two choices.

    Attributes:
        measure: what is compared.
        first: one choice.
        second: the other one.
        pairs: a value for each seed of both.
        difference: second minus first.
        corrected: its p-value, corrected for all comparisons of the call.

    """

    measure: Measure
    first: str
    second: str
    pairs: Pairs
    difference: Difference
    corrected: float = float("nan")

    @property
    def is_paired(self) -> bool:
        """Whether the values are compared seed by seed."""
        return self.pairs.seeds is not None

    @property
    def means(self) -> tuple[float, float]:
        """The mean of each choice."""
        return float(self.pairs.first.mean()), float(self.pairs.second.mean())

    @property
    def is_shown(self) -> bool:
        """Whether the corrected p is evidence of a difference."""
        return self.corrected <= LEVEL

    def is_too_small(self, tests: int) -> bool:
        """Return whether there are too few seeds for any difference, however large, to be shown."""
        return smallest_p(self.difference.counts, is_paired=self.is_paired) * tests > LEVEL

    def more_seeds(self, tests: int) -> int | None:
        """Return how many seeds more would show a difference of this size; None if that is shown, or unknown.

        Estimated for pairs only; None, too, if it takes more than anybody makes.
        """
        effect = self.difference.effect
        if self.is_shown or not self.is_paired or isnan(effect) or effect == 0:
            return None
        needed = pairs_needed(effect, tests)
        return None if needed is None else max(1, needed - self.difference.counts[0])


@dataclass(frozen=True)
class Comparison:
    """All comparisons of one call.

    Attributes:
        by: number of the slot of the template, `model`, `image` or `batch`.
        word: the word.
        levels: the choices, in the order in which they were found.
        measures: what was compared.
        results: for each two choices, each measure.
        values: measure -> choice -> seed -> value, for figures.
        notes: what was left out or done differently.

    """

    by: str
    word: Word
    levels: tuple[str, ...]
    measures: tuple[Measure, ...]
    results: tuple[Compared, ...]
    values: Mapping[str, Mapping[str, Seeds]]
    notes: tuple[str, ...]

    @property
    def tests(self) -> int:
        """The number of p-values that were corrected together."""
        return sum(not isnan(result.difference.p) for result in self.results)


def compare(
    rows: Sequence[Row], by: str | int, *, word: str | None = None, measures: Iterable[str] = USUAL
) -> Comparison:
    """Compare videos that differ in one choice.

    Args:
        rows: a row for each word of each video, see `contrasts`.
        by: number of the slot of the template from 1, `model`, `image` or `batch`.
        word: slug or text of the word; `slot:1` for the one in this bracket, whichever it is; None for the only word
            that all videos have.
        measures: names of the measures.

    Raises:
        ConfigError: no two choices can be compared, a measure is unknown, or it is not clear which word is meant.
        UnknownNameError: no video has this word.

    """
    if not rows:
        raise ConfigError("found no tracked word in these videos; expected at least one; mark it as (word)")
    asked = [_known(name, rows) for name in dict.fromkeys(measures)]
    if word is None:
        _require_choices(str(by), rows)
    about, chosen = rows_about(rows, word)
    others = len({video_of(row) for row in rows}) - len(about)
    contrast = Contrast(about, str(by))
    tried = (_compared(contrast, *levels, measure) for levels in contrast.pairs_of_levels() for measure in asked)
    results = [result for result in tried if result is not None]
    corrected = holm([result.difference.p for result in results])
    return Comparison(
        by=str(by),
        word=chosen,
        levels=contrast.levels,
        measures=tuple(asked),
        results=tuple(replace(result, corrected=p) for result, p in zip(results, corrected, strict=True)),
        values={measure.name: _values(contrast, measure) for measure in asked},
        notes=tuple(_notes(contrast, results, asked, Counter({f"without {chosen.label}": others}))),
    )


def _require_choices(by: str, rows: Sequence[Row]) -> None:
    """Check that videos differ in what was given, before a word that was not is asked for."""
    Contrast({video_of(row): row for row in rows}.values(), by)


def _known(name: str, rows: Sequence[Row]) -> Measure:
    columns = {name for row in rows for name in row}
    if name not in MEASURES and name not in columns:
        raise ConfigError(f"measures: found no {name!r}; {did_you_mean(name, MEASURES)}")
    return measure_named(name)


def _compared(contrast: Contrast, first: str, second: str, measure: Measure) -> Compared | None:
    """Compare two choices; None if one of them has no value of the measure."""
    pairs = contrast.pairs(first, second, measure.name)
    if not len(pairs.first) or not len(pairs.second):
        return None
    test = unpaired if pairs.seeds is None else paired
    return Compared(measure, first, second, pairs, test(pairs.first, pairs.second))


def _values(contrast: Contrast, measure: Measure) -> dict[str, Seeds]:
    found = {level: contrast.values(level, measure.name) for level in contrast.levels}
    return {level: dict(zip(seeds, map(float, values), strict=True)) for level, (seeds, values) in found.items()}


def _notes(
    contrast: Contrast, results: Sequence[Compared], measures: Sequence[Measure], left_out: Counter[str]
) -> Iterator[str]:
    """Yield what was left out or done differently."""
    for reason, count in (left_out + contrast.left_out).items():
        yield f"left out: {_videos(count)} {reason}"
    for measure in measures:
        if undefined := contrast.undefined(measure.name):
            yield f"{measure.label}: undefined in {_videos(undefined)}, which {_are(undefined)} left out of it"
        done = {(result.first, result.second) for result in results if result.measure == measure}
        for levels in contrast.pairs_of_levels():
            if levels not in done:
                yield f"{measure.label}: not compared between {_both(levels)}, one of which has no value"
    for levels in contrast.pairs_of_levels():
        pairs = [result.pairs for result in results if (result.first, result.second) == levels]
        yield from (f"{_both(levels)}: {note}" for note in _about(pairs))
    if any(result.pairs.per_seed > 1 for result in results):
        yield (
            "each seed counts once, with the mean over everything else that varies, because videos of one seed are "
            "not independent of each other"
        )


def _about(pairs: Sequence[Pairs]) -> Iterator[str]:
    """Yield how the videos of two choices were paired."""
    if any(one.seeds is None for one in pairs):
        yield (
            "compared unpaired, because no video of one has a counterpart of the other with the same seed; "
            "the same seeds for all choices would show smaller differences"
        )
    if any(one.across for one in pairs):
        yield "paired by seed although they differ in more than this, such as in batch, template or prompt"
    if alone := max((one.alone for one in pairs), default=0):
        yield f"left out: {_videos(alone)} without a counterpart of the same seed"


def _both(levels: tuple[str, str]) -> str:
    return f"'{levels[0]}' and '{levels[1]}'"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _videos(count: int) -> str:
    return f"{count} video{'' if count == 1 else 's'}"
