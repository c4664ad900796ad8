"""Expands a template into prompts, each with the positions of its tracked spans.

The variations of a template are the cartesian product of all its slots in reading order: the last slot varies fastest,
and a slot in an alternative that was not taken does not count. Variations are numbered, so that any one of 10^12 is as
cheap as the first.

A prompt does not contain the template's marks. Runs of white space become one blank and the ends are trimmed, so that
an empty alternative leaves no gap. The prompt cleaning of the Wan pipelines does the same, so this changes no video.
`generator.prompts.grammar` describes the language.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from generator.errors import TemplateError
from generator.images.files import InputImages
from generator.prompts.grammar import Node, Sequence, Slot, Text, Tracked, parse


@dataclass(frozen=True)
class TrackedSpan:
    """A tracked span of one prompt: characters ``start`` to ``end`` (exclusive), in Unicode code points."""

    text: str
    start: int
    end: int
    slot: int | None


@dataclass(frozen=True)
class Origin:
    """Where a prompt is from: the text of its template, and its number among the variations of it."""

    template: str
    number: int


@dataclass(frozen=True)
class Variation:
    """One prompt of a batch.

    ``choices`` maps the number of each slot to the text that was taken. Slots in alternatives that were not taken are
    absent. ``negative``, ``seed`` and ``name`` are those of the prompt alone; where they are None, the batch's settings
    and the number hold. ``image`` is what its videos are made from, if they are.
    """

    number: int
    prompt: str
    spans: tuple[TrackedSpan, ...]
    choices: dict[int, str]
    origin: Origin | None = None
    negative: str | None = None
    seed: int | None = None
    name: str | None = None
    image: InputImages | None = None

    @property
    def taken(self) -> tuple[str, ...]:
        """What was taken for each slot, in order, and for the image, if there are several."""
        image = None if self.image is None else self.image.choice
        return (*self.choices.values(), *(() if image is None else (image,)))

    @property
    def prompt_id(self) -> str:
        """Name of the folder that holds all videos of this prompt."""
        return self.name or f"prompt_{self.number:03}"


class Template:
    """A parsed template: the number of its variations, and each of them."""

    def __init__(self, text: str, where: str = "template") -> None:
        """Parse ``text``; ``where`` is its place, for messages.

        Raises:
            TemplateError: showing the position of a syntax error, or of bytes that are not UTF-8.

        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise TemplateError(
                f"{where}: found bytes that are not UTF-8 at character {error.start + 1}. Save the configuration in "
                "UTF-8, or set the terminal to it"
            ) from None
        self.text = text
        self._where = where
        self._root = parse(text, where)

    @property
    def count(self) -> int:
        """Number of variations; computed without making them."""
        return self._root.count

    def variation(self, number: int) -> Variation:
        """Return variation ``number``, from 1 to `count`.

        Raises:
            TemplateError: if the prompt is empty because every alternative taken is empty.

        """
        if not 1 <= number <= self.count:
            raise IndexError(f"there is no variation {number}: the template has 1 to {self.count}")
        drawing = _Drawing()
        drawing.draw(self._root, number - 1)
        variation = drawing.finish(Origin(self.text, number))
        if not variation.prompt:
            raise TemplateError(
                f"{self._where}: variation {number} of {self.count} is an empty prompt. "
                "Write some text outside of the brackets, or remove the empty alternative"
            )
        return variation

    def variations(self, limit: int | None = None) -> Iterator[Variation]:
        """Yield the first ``limit`` variations; None means all."""
        return map(self.variation, islice(_count_up(self.count), limit))


def track(variation: Variation, words: Iterable[str]) -> Variation:
    """Track further words wherever they occur in a prompt, as if every occurrence were marked."""
    spans = {(span.start, span.end): span for span in find_words(variation.prompt, words)}
    spans |= {(span.start, span.end): span for span in variation.spans}  # those know their slot
    return replace(variation, spans=tuple(spans[place] for place in sorted(spans)))


def find_words(prompt: str, words: Iterable[str]) -> tuple[TrackedSpan, ...]:
    """Return all occurrences of words or phrases in a prompt, in reading order, each of them once.

    Case is ignored. Only whole words match: "kiss" is not found in "kissing". Scripts without case, many of which do
    not separate words, are searched for the characters. Accented letters match in either Unicode form.
    """
    found = {
        (match.start(), match.end()): TrackedSpan(match.group(), match.start(), match.end(), None)
        for word in words
        for form in dict.fromkeys((word, *(unicodedata.normalize(form, word) for form in ("NFC", "NFD"))))
        for match in re.finditer(_pattern(form), prompt, re.IGNORECASE)
        if not unicodedata.combining(prompt[match.end() : match.end() + 1] or " ")
    }
    return tuple(found[place] for place in sorted(found))


def _pattern(word: str) -> str:
    parts = word.split()
    before = r"(?<!\w)" if _separates_words(parts[0][0]) else ""
    after = r"(?!\w)" if _separates_words(unicodedata.normalize("NFC", parts[-1])[-1]) else ""
    return before + r"\s+".join(map(re.escape, parts)) + after


def _separates_words(character: str) -> bool:
    return character.isdecimal() or character.upper() != character.lower()


def escape(text: str) -> str:
    r"""Put a ``\`` before every character of ``text`` that is special in a template."""
    return re.sub(r"[\[\]()|\\]", r"\\\g<0>", text)


def _count_up(last: int) -> Iterator[int]:
    """Yield 1 to ``last``, which may exceed the largest length of a `range`."""
    number = 0
    while number < last:
        number += 1
        yield number


@dataclass
class _Drawing:
    """A variation under construction: its text, spans and choices; offsets refer to the untrimmed text."""

    text: str = ""
    spans: list[tuple[int, int, int | None]] = field(default_factory=list)
    choices: dict[int, str] = field(default_factory=dict)

    def draw(self, sequence: Sequence, number: int) -> None:
        """Append variation ``number`` (from 0) of ``sequence``: a mixed-radix number, last digit fastest."""
        digits: list[int] = []
        for node in reversed(sequence.nodes):
            number, digit = divmod(number, node.count)
            digits.append(digit)
        for node, digit in zip(sequence.nodes, reversed(digits), strict=True):
            self._draw_node(node, digit)

    def _draw_node(self, node: Node, number: int) -> None:
        start = len(self.text)
        if isinstance(node, Text):
            self.text += node.text
        elif isinstance(node, Tracked):
            self.draw(node.content, number)
            self.spans.append((start, len(self.text), node.slot))
        else:
            self.choices[node.number] = ""  # reserves its place, so that slots stay in reading order
            self.draw(*_alternative(node, number))
            self.choices[node.number] = " ".join(self.text[start:].split())

    def finish(self, origin: Origin) -> Variation:
        prompt, moved = _tidy(self.text)
        spans = []
        for start, end, slot in self.spans:
            words = self.text[start:end].strip()
            if words:  # otherwise the span held only an empty alternative
                first = moved[start + self.text[start:end].index(words)]
                last = first + len(" ".join(words.split()))
                spans.append(TrackedSpan(prompt[first:last], first, last, slot))
        return Variation(origin.number, prompt, tuple(spans), self.choices, origin)


def _alternative(slot: Slot, number: int) -> tuple[Sequence, int]:
    """Return the alternative that contains variation ``number`` of a slot, and the number within it."""
    for alternative in slot.alternatives:
        if number < alternative.count:
            return alternative, number
        number -= alternative.count
    raise IndexError(f"slot {slot.number} has no such variation")


def _tidy(text: str) -> tuple[str, list[int]]:
    """Collapse white space and trim the ends; also return the new offset of each character."""
    tidy: list[str] = []
    moved: list[int] = []
    for character in text:
        moved.append(len(tidy))
        if not character.isspace():
            tidy.append(character)
        elif tidy and tidy[-1] != " ":
            tidy.append(" ")
    return "".join(tidy).rstrip(), moved
