"""From a template to its prompts, each with the places of its tracked spans.

The variations of a template are the cartesian product of all its slots in reading order: the last slot
varies fastest, and a slot in an alternative that was not taken contributes nothing. They are numbered, so
that any one of 10^12 is as cheap as the first.

The marks of a template are no part of a prompt. Runs of white space become one blank and the ends are
trimmed, so that an empty alternative leaves no gap; the prompt cleaning of the Wan pipelines does the same,
so no video changes by it. The language itself is described in `generator.prompts.grammar`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from generator.errors import TemplateError
from generator.prompts.grammar import Node, Sequence, Slot, Text, Tracked, parse


@dataclass(frozen=True)
class TrackedSpan:
    """A tracked span of one prompt: characters ``start`` to ``end``, half open, in Unicode code points."""

    text: str
    start: int
    end: int
    slot: int | None


@dataclass(frozen=True)
class Variation:
    """One prompt of a template.

    ``choices`` maps the number of a slot to the text taken there. Slots in alternatives that were not taken
    are absent.
    """

    number: int
    prompt: str
    spans: tuple[TrackedSpan, ...]
    choices: dict[int, str]


class Template:
    """A template that was read: how many variations it has, and each of them."""

    def __init__(self, text: str) -> None:
        """Read ``text``.

        Raises:
            TemplateError: naming the place, for anything that is not a template.

        """
        self.text = text
        self._root = parse(text)

    @property
    def count(self) -> int:
        """Number of variations, found without making them."""
        return self._root.count

    def variation(self, number: int) -> Variation:
        """Make variation ``number``, from 1 to `count`.

        Raises:
            TemplateError: if nothing is left of the prompt, because all that it could hold is left out.

        """
        if not 1 <= number <= self.count:
            raise IndexError(f"there is no variation {number}: the template has 1 to {self.count}")
        drawing = _Drawing()
        drawing.draw(self._root, number - 1)
        variation = drawing.finish(number)
        if not variation.prompt:
            raise TemplateError(
                f"template: variation {number} of {self.count} is an empty prompt. "
                "Write some text outside of the brackets, or take the empty alternative away"
            )
        return variation

    def variations(self, limit: int | None = None) -> Iterator[Variation]:
        """Make the first ``limit`` variations (all, if None), one by one."""
        return map(self.variation, islice(_count_up(self.count), limit))


def track(variation: Variation, words: Iterable[str]) -> Variation:
    """Track further words wherever they occur in a prompt, as if each occurrence stood in brackets."""
    spans = {(span.start, span.end): span for span in find_words(variation.prompt, words)}
    spans |= {(span.start, span.end): span for span in variation.spans}  # those know their slot
    return replace(variation, spans=tuple(spans[place] for place in sorted(spans)))


def find_words(prompt: str, words: Iterable[str]) -> tuple[TrackedSpan, ...]:
    """Find all occurrences of some words, or of several words in a row, in a prompt.

    Upper and lower case are the same. Found are whole words, "kiss" not in "kissing"; scripts without upper and
    lower case, many of which do not separate words, are searched for the characters.
    """
    found = [
        TrackedSpan(match.group(), match.start(), match.end(), None)
        for word in words
        for match in re.finditer(_pattern(word), prompt, re.IGNORECASE)
    ]
    return tuple(sorted(found, key=lambda span: (span.start, span.end)))


def _pattern(word: str) -> str:
    parts = word.split()
    before = r"(?<!\w)" if _separates_words(parts[0][0]) else ""
    after = r"(?!\w)" if _separates_words(parts[-1][-1]) else ""
    return before + r"\s+".join(map(re.escape, parts)) + after


def _separates_words(character: str) -> bool:
    return character.isdecimal() or character.upper() != character.lower()


def escape(text: str) -> str:
    r"""Put a ``\`` before every character of ``text`` that means something in a template."""
    return re.sub(r"[\[\]()|\\]", r"\\\g<0>", text)


def _count_up(last: int) -> Iterator[int]:
    """1 to ``last``, which may be more than a `range` can be asked the length of."""
    number = 0
    while number < last:
        number += 1
        yield number


@dataclass
class _Drawing:
    """One variation while its text grows, and what was met on the way, at offsets in the untrimmed text."""

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
            self.choices[node.number] = ""  # holds the place, so that slots stay in reading order
            self.draw(*_alternative(node, number))
            self.choices[node.number] = " ".join(self.text[start:].split())

    def finish(self, number: int) -> Variation:
        prompt, moved = _tidy(self.text)
        spans = []
        for start, end, slot in self.spans:
            words = self.text[start:end].strip()
            if words:  # an empty alternative was all that the span held: here nothing is tracked
                first = moved[start + self.text[start:end].index(words)]
                last = first + len(" ".join(words.split()))
                spans.append(TrackedSpan(prompt[first:last], first, last, slot))
        return Variation(number, prompt, tuple(spans), self.choices)


def _alternative(slot: Slot, number: int) -> tuple[Sequence, int]:
    """Find the alternative that variation ``number`` of a slot lies in, and its number there."""
    for alternative in slot.alternatives:
        if number < alternative.count:
            return alternative, number
        number -= alternative.count
    raise IndexError(f"slot {slot.number} has no such variation")


def _tidy(text: str) -> tuple[str, list[int]]:
    """Leave one blank of each run of white space and none at the ends; and tell where each character went."""
    tidy: list[str] = []
    moved: list[int] = []
    for character in text:
        moved.append(len(tidy))
        if not character.isspace():
            tidy.append(character)
        elif tidy and tidy[-1] != " ":
            tidy.append(" ")
    return "".join(tidy).rstrip(), moved
