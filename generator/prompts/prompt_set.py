"""All prompts of a batch: the variations of one template, or of every line of a file, one after the other, by image.

Prompts are drawn by number, so that the first ones, or a random sample, of 10^12 are as cheap as of ten.
"""

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, count, islice

from generator.errors import ImageError
from generator.images.files import InputImages
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
    image: InputImages | None = None

    def variation(self, number: int) -> Variation:
        """Return variation ``number`` of the template, with what holds for it.

        Raises:
            TemplateError: if the prompt is empty.

        """
        variation = self.template.variation(number)
        name = self.name
        if name is not None and self.template.count > 1:
            name = f"{name}_{number:03}"
        return replace(variation, negative=self.negative, seed=self.seed, name=name, image=self.image)


class PromptSet:
    """The prompts of some templates, combined with images; not empty.

    Each prompt is combined with each image, which vary faster; or, if ``paired``, the first prompt with the first
    image, and so on. A line with an image of its own keeps to that.
    """

    def __init__(self, lines: Sequence[Line], images: Sequence[InputImages] = (), *, paired: bool = False) -> None:
        self.lines = tuple(lines)
        self.images = tuple(images)
        self._paired = paired and len(images) > 1
        self._ends = list(accumulate(line.template.count * len(self._each(line)) for line in self.lines))
        if self._paired:
            self._refuse_other_number()

    @property
    def count(self) -> int:
        """Number of prompts, once for each image; computed without making them."""
        return self._ends[-1]

    @property
    def factors(self) -> tuple[int, int]:
        """Numbers of prompts and of images of which the count is the product; ``(count, 1)`` if it is not one."""
        images = len(self._each(self.lines[0]))
        is_product = all(len(self._each(line)) == images for line in self.lines)
        return (self.count // images, images) if is_product else (self.count, 1)

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
            variation = self._combination(self.lines[index], number - before - 1)
            if self._paired:
                variation = replace(variation, image=self.images[number - 1])
            yield _named(replace(variation, number=position))

    def _combination(self, line: Line, number: int) -> Variation:
        """Return combination ``number``, from 0, of a line's prompts and images."""
        images = self._each(line)
        prompt, place = divmod(number, len(images))
        return replace(line.variation(prompt + 1), image=images[place])

    def _each(self, line: Line) -> tuple[InputImages | None, ...]:
        """Return what each prompt of a line is combined with."""
        return (line.image,) if line.image or self._paired or not self.images else self.images

    def _refuse_other_number(self) -> None:
        own = [line for line in self.lines if line.image]
        if own:
            raise ImageError(
                f"images: found 'paired', but line {own[0].number} of the prompts has an image of its own. Give all "
                "lines their own, without --image, or none"
            )
        if self.count != len(self.images):
            raise ImageError(
                f"images: found {self.count:,} prompts and {len(self.images):,} images; expected as many of both for "
                "'paired'. Use 'crossed' to combine each prompt with each image"
            )


def _named(variation: Variation) -> Variation:
    """Add the name of its image to that of a prompt, if there are several images."""
    image = variation.image
    if image is None or image.slug is None:
        return variation
    return replace(variation, name=f"{variation.prompt_id}_{image.slug}")


def _drawn(largest: int, size: int, seed: int) -> Iterator[int]:
    """Yield ``size`` different numbers from 1 to ``largest``, which may exceed the largest length of a `range`."""
    generator = random.Random(seed)  # noqa: S311 - a sample is no secret
    drawn: set[int] = set()
    while len(drawn) < size:
        number = generator.randrange(largest) + 1
        if number not in drawn:
            drawn.add(number)
            yield number
