"""Which videos of a batch differ only in one choice of the template: the rows of contact sheets of differences.

Videos are compared that have the same template and seed, and the same choices but for one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from attnwatch.contract.manifest import Manifest

MOST_COMPARED = 96
"""Rows of a sheet of differences, all pages together."""

MOST_CHOICES = 5
"""Of more choices, only the first one is compared with the others."""

MOST_SLOTS = 20
"""Slots that are compared: the first ones of a template."""

_Choices = tuple[str, ...]
_Made = Mapping[_Choices, Manifest]


@dataclass
class Comparison:
    """One row: two choices of a slot, and the videos that are compared.

    Attributes:
        first: a choice.
        second: another one, whose attention is subtracted.
        others: the choices of the other slots; None for all of them together.
        pairs: videos with the first and with the second choice, and otherwise alike.

    """

    first: str
    second: str
    others: str | None
    pairs: list[tuple[Manifest, Manifest]] = field(default_factory=list)


@dataclass(frozen=True)
class Slot:
    """The rows of one slot.

    Attributes:
        number: of the slot in its template, from 1.
        choices: in order.
        rows: at least one.
        left_out: what is not shown because there is too much; None if nothing is.

    """

    number: int
    choices: tuple[str, ...]
    rows: tuple[Comparison, ...]
    left_out: str | None = None


def slots_of(videos: Iterable[Manifest]) -> list[Slot]:
    """Return the slots whose choices can be compared, given the videos that have a word, in order."""
    made: dict[tuple[str | None, int], dict[int, dict[_Choices, Manifest]]] = defaultdict(lambda: defaultdict(dict))
    for video in videos:
        how = video.document.generation
        if how.choices and how.seed is not None:
            made[how.template, len(how.choices)][how.seed].setdefault(how.choices, video)
    most = max((length for _, length in made), default=0)
    numbers = range(1, min(most, MOST_SLOTS) + 1)
    found = (_slot(number, [list(by_seed.values()) for by_seed in made.values()]) for number in numbers)
    return [slot for slot in found if slot is not None]


def _slot(number: int, templates: Sequence[Sequence[_Made]]) -> Slot | None:
    """Return the rows of a slot.

    Args:
        number: of the slot.
        templates: for each template, the videos of each seed by their choices.

    """
    rows: list[Comparison] = []
    choices: dict[str, None] = {}
    left_out = []
    for made in templates:
        own = dict.fromkeys(taken[number - 1] for videos in made for taken in videos if len(taken) >= number)
        rows += _rows(number, list(own), made)
        choices |= own
        if len(own) > MOST_CHOICES:
            left_out.append(f"compares only the first of {len(own):,} choices with the others")
    if not rows:
        return None
    if len(rows) > MOST_COMPARED:
        means = {(row.first, row.second) for row in rows if row.others is None}
        rows = [row for row in rows if row.others is None or (row.first, row.second) not in means]
        left_out.append("does not show single choices of the other slots")
    if len(rows) > MOST_COMPARED:
        left_out.append(f"shows only {MOST_COMPARED} of {len(rows):,} comparisons")
    return Slot(number, tuple(choices), tuple(rows[:MOST_COMPARED]), "; ".join(dict.fromkeys(left_out)) or None)


def _rows(number: int, choices: Sequence[str], made: Sequence[_Made]) -> list[Comparison]:
    """Return the rows of each two choices: one for all combinations of the other choices, then one for each."""
    alike = list(_alike(number, made))
    rows: list[Comparison] = []
    for first, second in _compared(choices):
        found: dict[str, Comparison] = {}
        for others, videos in alike:
            if first in videos and second in videos:
                row = found.setdefault(others, Comparison(first, second, others))
                row.pairs.append((videos[first], videos[second]))
        if len(found) > 1:
            every = [pair for row in found.values() for pair in row.pairs]
            rows.append(Comparison(first, second, None, every))
        rows += found.values()
    return rows


def _compared(choices: Sequence[str]) -> list[tuple[str, str]]:
    if len(choices) > MOST_CHOICES:
        return [(choices[0], other) for other in choices[1:]]
    return list(combinations(choices, 2))


def _alike(number: int, made: Sequence[_Made]) -> Iterator[tuple[str, Mapping[str, Manifest]]]:
    """Yield the videos that differ only in one slot by their choice in it, and the other choices that they share."""
    for videos in made:
        found: dict[_Choices, dict[str, Manifest]] = defaultdict(dict)
        for taken, video in videos.items():
            if len(taken) >= number:
                found[(*taken[: number - 1], *taken[number:])][taken[number - 1]] = video
        for others, by_choice in found.items():
            yield " · ".join(other for other in others if other), by_choice
