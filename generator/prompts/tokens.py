"""From a tracked span of a prompt to positions in the text encoder's sequence.

Spans are characters of the prompt. The pipeline cleans a prompt before it tokenises it, so a span is first moved
to the cleaned text and then compared with the character offsets of the tokens found there. Looking for the
word's own tokens instead would miss a quoted word and find "kiss" in "kissing".
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import count

from generator.errors import TokenError
from generator.prompts.template import TrackedSpan, Variation

MAX_SLUG_BYTES = 80

# How sentencepiece and byte-level tokenizers write a blank. Such a token stands for white space only, whatever
# its offsets say: before the first word they are those of the word's first character.
_BLANK_MARKS = "▁Ġ \t\n"


@dataclass(frozen=True)
class TokenSequence:
    """What the text encoder is given for one prompt, padded and cut to its length.

    ``offsets`` are characters of ``text``, half open; special tokens and padding have empty ones.
    """

    text: str
    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    pieces: tuple[str, ...]
    length: int
    """Number of tokens before padding, special ones included."""
    whole_length: int
    """The same if nothing had been cut off."""
    unknown_id: int | None = None
    """Id of the token that stands for everything the tokenizer does not know, if it has one."""

    @property
    def padding(self) -> tuple[int, ...]:
        """Positions of the padding."""
        return tuple(range(self.length, len(self.ids)))

    @property
    def end(self) -> tuple[int, ...]:
        """Position of the token that ends the text, if there is one: it stands for no character."""
        last = self.length - 1
        return (last,) if last >= 0 and self.offsets[last][0] == self.offsets[last][1] else ()


@dataclass(frozen=True)
class TrackedWord:
    """One tracked occurrence of a word or of several words, as FORMAT.md's ``tokens`` describes it."""

    slug: str
    text: str
    span: tuple[int, int]
    positions: tuple[int, ...]
    ids: tuple[int, ...]
    slot: int | None


def locate(
    variation: Variation, clean: Callable[[str], str], tokenise: Callable[[str], TokenSequence]
) -> tuple[TrackedWord, ...]:
    """Find the tokens of every tracked span of ``variation``, in reading order.

    ``clean`` is the pipeline's own cleaning of prompts, ``tokenise`` its tokeniser for cleaned text.

    Raises:
        TokenError: for a span without a token of its own, or one that was cut off.

    """
    if not variation.spans:
        return ()
    sequence = tokenise(clean(variation.prompt))
    slugs = unique_slugs([span.text for span in variation.spans])
    words = []
    for slug, span in zip(slugs, variation.spans, strict=True):
        start, end = move_span(variation.prompt, (span.start, span.end), clean)
        positions = _positions(sequence, start, end)
        _refuse_unusable(variation, span, sequence, end, positions)
        ids = tuple(sequence.ids[position] for position in positions)
        words.append(TrackedWord(slug, span.text, (span.start, span.end), positions, ids, span.slot))
    return tuple(words)


def cut_off(sequence: TokenSequence) -> str:
    """Return the end of the text that does not fit into the text encoder; empty if all of it does."""
    if sequence.whole_length <= sequence.length:
        return ""
    return sequence.text[max((last for _, last in sequence.offsets), default=0) :].strip()


def unknown_words(sequence: TokenSequence) -> list[str]:
    """Return what the tokenizer does not know, in reading order; neither punctuation nor what has no character."""
    pairs = zip(sequence.ids, sequence.offsets, strict=True)
    found = [sequence.text[first:last] for id_, (first, last) in pairs if id_ == sequence.unknown_id]
    return [word for word in found if not all(map(_is_punctuation, word))]


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P")


def _positions(sequence: TokenSequence, start: int, end: int) -> tuple[int, ...]:
    """Positions of all tokens that share a character other than white space with ``start`` to ``end``."""
    found = []
    for position, (first, last) in enumerate(sequence.offsets):
        shared = sequence.text[max(first, start) : min(last, end)]
        if shared.strip() and sequence.pieces[position].strip(_BLANK_MARKS):
            found.append(position)
    return tuple(found)


def _refuse_unusable(
    variation: Variation, span: TrackedSpan, sequence: TokenSequence, end: int, positions: tuple[int, ...]
) -> None:
    """Raise for a word that was cut off, wholly or in part, or that has no token at all."""
    kept = max((last for _, last in sequence.offsets), default=0)
    where = f'tracked word "{span.text}" in prompt {variation.number}, "{variation.prompt}"'
    if sequence.whole_length > sequence.length and end > kept:
        raise TokenError(
            f"{where}: it is cut off. The prompt has {sequence.whole_length} tokens and the text encoder takes "
            f"{len(sequence.ids)}: shorten the prompt, or move the word to its beginning"
        )
    if not positions:
        raise TokenError(
            f"{where}: the tokenizer makes no token of it, so there is no attention to record. "
            "Track another word, or take the brackets away"
        )


def move_span(text: str, span: tuple[int, int], clean: Callable[[str], str]) -> tuple[int, int]:
    """Find where characters ``span`` of ``text`` are in ``clean(text)``.

    Cleaned piece by piece, the text before, in and after the span normally adds up to the whole cleaned text,
    which proves the place. Where cleaning looks across these borders, the two texts are aligned.
    """
    start, end = span
    cleaned = clean(text)
    before, words = _clean_piece(text[:start], clean), clean(text[start:end])
    if cleaned == (before + words + _clean_piece(text[end:], clean)).strip():
        first = len(before) if before.strip() else 0
        return first, first + len(words)
    return _aligned(text, cleaned, start, from_above=False), _aligned(text, cleaned, end, from_above=True)


def _clean_piece(piece: str, clean: Callable[[str], str]) -> str:
    """Clean a part of a text, keeping one blank where white space was at its ends."""
    leading = " " if piece[:1].isspace() else ""
    trailing = " " if piece[-1:].isspace() else ""
    core = clean(piece)
    return leading + core + trailing if core else leading or trailing


def _aligned(text: str, cleaned: str, offset: int, *, from_above: bool) -> int:
    """Find the offset in ``cleaned`` of ``offset`` in ``text``; inside a changed part, the part's near end."""
    blocks = SequenceMatcher(None, text, cleaned, autojunk=False).get_opcodes()
    for kind, first, last, to_first, to_last in blocks:
        inside = first < offset <= last if from_above else first <= offset < last
        if inside and kind == "equal":
            return to_first + offset - first
        if inside:
            return to_last if from_above else to_first
    return len(cleaned)


def slug(text: str) -> str:
    """Make a name of ``text`` for tensors and files, by the rule under "Slugs" in FORMAT.md."""
    normal = unicodedata.normalize("NFC", text)
    kept = "".join(char if unicodedata.category(char)[0] in "LNM" else "_" for char in normal)
    name = re.sub("_+", "_", kept).strip("_")
    return _cut(name, MAX_SLUG_BYTES).rstrip("_") or "word"


def unique_slugs(texts: Sequence[str]) -> list[str]:
    """Make a slug of each text; of equal ones, compared without case, the second gets ``_2`` and so on."""
    taken: set[str] = set()
    names = []
    for text in texts:
        name = next(name for name in _numbered(slug(text)) if name.casefold() not in taken)
        taken.add(name.casefold())
        names.append(name)
    return names


def _numbered(base: str) -> Iterator[str]:
    yield base
    for number in count(2):
        ending = f"_{number}"
        yield _cut(base, MAX_SLUG_BYTES - len(ending)) + ending


def _cut(text: str, size: int) -> str:
    """Keep as many whole characters as fit into ``size`` bytes of UTF-8."""
    return text.encode()[:size].decode(errors="ignore")
