"""All prompts of a batch: the variations of one template, or of every line of a file, one after the other.

Prompts are drawn by number, so that the first ones, or a random sample, of 10^12 are as cheap as of ten.
"""

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, count, islice

from generator.prompts.template import Template, Variation


@dataclass(frozen=True)
class Line:
    """A template, and what holds for its prompts alone; None where the batch's own setting holds.

    ``number`` is that of its line in the file; None without a file.
    """

    template: Template
    negative: str | None = None
    seed: int | None = None
    name: str | None = None
    number: int | None = None

    def variation(self, number: int) -> Variation:
        """Return variation ``number`` of the template, with what holds for it.

        Raises:
            TemplateError: if the prompt is empty.

        """
        variation = self.template.variation(number)
        name = self.name
        if name is not None and self.template.count > 1:
            name = f"{name}_{number:03}"
        return replace(variation, negative=self.negative, seed=self.seed, name=name)


class PromptSet:
    """The prompts of some templates; not empty."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = tuple(lines)
        self._ends = list(accumulate(line.template.count for line in self.lines))

    @property
    def count(self) -> int:
        """Number of prompts; computed without making them."""
        return self._ends[-1]

    def first(self, limit: int | None = None) -> Iterator[Variation]:
        """Yield the first ``limit`` prompts, numbered from 1; None means all."""
        return self._numbered(islice(count(1), self._most(limit)))

    def sample(self, size: int, seed: int) -> Iterator[Variation]:
        """Yield ``size`` different prompts, or all if there are fewer, in random order, numbered from 1.

        A larger sample with the same seed begins with the smaller one.
        """
        return self._numbered(_drawn(self.count, self._most(size), seed))

    def _most(self, limit: int | None) -> int:
        return self.count if limit is None else min(limit, self.count)

    def _numbered(self, numbers: Iterator[int]) -> Iterator[Variation]:
        for position, number in enumerate(numbers, 1):
            index = bisect_left(self._ends, number)
            before = self._ends[index - 1] if index else 0
            yield replace(self.lines[index].variation(number - before), number=position)


def _drawn(largest: int, size: int, seed: int) -> Iterator[int]:
    """Yield ``size`` different numbers from 1 to ``largest``, which may exceed the largest length of a `range`."""
    generator = random.Random(seed)  # noqa: S311 - a sample is no secret
    drawn: set[int] = set()
    while len(drawn) < size:
        number = generator.randrange(largest) + 1
        if number not in drawn:
            drawn.add(number)
            yield number
