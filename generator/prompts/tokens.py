"""Locates tracked spans of a prompt in the token sequence of the text encoder.

Spans are character offsets in the prompt. The pipeline cleans a prompt before it tokenises it, so a span is first
mapped to the cleaned text and then compared with the character offsets of the tokens. Searching for the word's own
tokens instead would miss a quoted word and find "kiss" in "kissing".
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import count

from generator.errors import TokenError
from generator.prompts.template import TrackedSpan, Variation, find_words

MAX_SLUG_BYTES = 80

# How sentencepiece and byte-level tokenizers write a blank. A token of only these is white space, whatever its offsets
# are: before the first word they are those of the word's first character.
_BLANK_MARKS = "▁Ġ \t\n"


@dataclass(frozen=True)
class TokenSequence:
    """Input of the text encoder for one prompt, padded or truncated to the encoder's length.

    ``offsets`` are half-open character ranges of ``text``; those of special tokens and padding are empty.
    """

    text: str
    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    pieces: tuple[str, ...]
    length: int
    """Number of tokens without padding, including special ones."""
    whole_length: int
    """The same before truncation."""
    unknown_id: int | None = None
    """Id of the token for everything unknown to the tokenizer, if it has one."""

    @property
    def padding(self) -> tuple[int, ...]:
        """Positions of the padding."""
        return tuple(range(self.length, len(self.ids)))

    @property
    def end(self) -> tuple[int, ...]:
        """Position of the end-of-text token, if there is one."""
        last = self.length - 1
        return (last,) if last >= 0 and self.offsets[last][0] == self.offsets[last][1] else ()


@dataclass(frozen=True)
class TrackedWord:
    """One tracked occurrence of a word or phrase: an entry of ``tokens`` in FORMAT.md."""

    slug: str
    text: str
    span: tuple[int, int] | None
    """Characters of its prompt; None if the caller gave the positions."""
    positions: tuple[int, ...]
    ids: tuple[int, ...]
    """Ids of its tokens; empty if the caller gave the positions, which then nothing can prove."""
    slot: int | None = None
    negative: bool = False
    """Whether it is a word of the negative prompt: an entry of ``negative_tokens``."""


def locate(
    variation: Variation, clean: Callable[[str], str], tokenise: Callable[[str], TokenSequence]
) -> tuple[TrackedWord, ...]:
    """Return the tokens of every tracked span of ``variation``, in reading order.

    ``clean`` is the pipeline's own cleaning of prompts, ``tokenise`` its tokenizer for cleaned text.

    Raises:
        TokenError: for a span without any token, or one that is cut off.

    """
    where = f'in prompt {variation.number}, "{variation.prompt}"'
    return _located(variation.prompt, variation.spans, clean, tokenise, where)


def locate_negative(
    prompt: str, words: Iterable[str], clean: Callable[[str], str], tokenise: Callable[[str], TokenSequence]
) -> tuple[TrackedWord, ...]:
    """Return the tokens of every occurrence of ``words`` in a negative prompt, in reading order.

    Raises:
        TokenError: for a word that has no token or is cut off.

    """
    located = _located(prompt, find_words(prompt, words), clean, tokenise, f'in the negative prompt "{prompt}"')
    return tuple(replace(word, negative=True) for word in located)


def refuse_absent_negative(words: Iterable[str], prompts: Sequence[str]) -> None:
    """Raise TokenError for a word that is in none of the negative prompts."""
    for word in words:
        if not any(find_words(prompt, [word]) for prompt in prompts):
            more = len(prompts) - 1
            others = f" and {more} other{'' if more == 1 else 's'}" if more else ""
            raise TokenError(
                f"track_negative: found no {word!r} in the negative prompt {prompts[0]!r}{others}. Expected a word of "
                "it; words of the prompt itself are tracked without this setting"
            )


def _located(
    prompt: str,
    spans: Sequence[TrackedSpan],
    clean: Callable[[str], str],
    tokenise: Callable[[str], TokenSequence],
    where: str,
) -> tuple[TrackedWord, ...]:
    if not spans:
        return ()
    sequence = tokenise(clean(prompt))
    slugs = unique_slugs([span.text for span in spans])
    words = []
    for slug, span in zip(slugs, spans, strict=True):
        start, end = move_span(prompt, (span.start, span.end), clean)
        positions = positions_of(sequence, start, end)
        _refuse_unusable(f'tracked word "{span.text}" {where}', sequence, end, positions)
        ids = tuple(sequence.ids[position] for position in positions)
        words.append(TrackedWord(slug, span.text, (span.start, span.end), positions, ids, span.slot))
    return tuple(words)


def cut_off(sequence: TokenSequence) -> str:
    """Return the end of the text that exceeds the text encoder's length; empty if all of it fits."""
    if sequence.whole_length <= sequence.length:
        return ""
    return sequence.text[max((last for _, last in sequence.offsets), default=0) :].strip()


def unknown_words(sequence: TokenSequence) -> list[str]:
    """Return the words that the tokenizer does not know, in reading order, without punctuation and special tokens."""
    pairs = zip(sequence.ids, sequence.offsets, strict=True)
    found = [sequence.text[first:last] for id_, (first, last) in pairs if id_ == sequence.unknown_id]
    return [word for word in found if not all(map(_is_punctuation, word))]


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P")


def positions_of(sequence: TokenSequence, start: int, end: int) -> tuple[int, ...]:
    """Return the positions of all tokens that share a non-blank character with ``start`` to ``end``."""
    found = []
    for position, (first, last) in enumerate(sequence.offsets):
        if last <= start or first >= end:
            continue
        shared = sequence.text[max(first, start) : min(last, end)]
        if shared.strip() and sequence.pieces[position].strip(_BLANK_MARKS):
            found.append(position)
    return tuple(found)


def _refuse_unusable(where: str, sequence: TokenSequence, end: int, positions: tuple[int, ...]) -> None:
    """Raise TokenError for a word that is cut off, wholly or partly, or that has no token."""
    is_cut = sequence.whole_length > sequence.length
    if is_cut and end > max((last for _, last in sequence.offsets), default=0):
        raise TokenError(
            f"{where}: it is cut off. The prompt has {sequence.whole_length} tokens and the text encoder takes "
            f"{len(sequence.ids)}: shorten the prompt, or move the word towards its beginning"
        )
    if not positions:
        raise TokenError(
            f"{where}: the tokenizer drops it, so it has no token and no attention to record. "
            "Track another word, or remove the brackets"
        )


def move_span(text: str, span: tuple[int, int], clean: Callable[[str], str]) -> tuple[int, int]:
    """Return the range of ``clean(text)`` that corresponds to the range ``span`` of ``text``.

    Normally, cleaning the parts before, inside and after the span separately yields the whole cleaned text, which
    proves the position. Where cleaning depends on characters across these borders, the two texts are aligned.
    """
    start, end = span
    cleaned = clean(text)
    if cleaned == text:
        return span
    before, words = _clean_piece(text[:start], clean), clean(text[start:end])
    if cleaned == (before + words + _clean_piece(text[end:], clean)).strip():
        first = len(before) if before.strip() else 0
        return first, first + len(words)
    return _aligned(text, cleaned, start, from_above=False), _aligned(text, cleaned, end, from_above=True)


def _clean_piece(piece: str, clean: Callable[[str], str]) -> str:
    """Clean a part of a text; keep one blank where it starts or ends with white space."""
    leading = " " if piece[:1].isspace() else ""
    trailing = " " if piece[-1:].isspace() else ""
    core = clean(piece.strip())
    return leading + core + trailing if core else leading or trailing


def _aligned(text: str, cleaned: str, offset: int, *, from_above: bool) -> int:
    """Map an offset in ``text`` to ``cleaned``; inside a changed part, to its start, or its end if ``from_above``."""
    blocks = SequenceMatcher(None, text, cleaned, autojunk=False).get_opcodes()
    for kind, first, last, to_first, to_last in blocks:
        inside = first < offset <= last if from_above else first <= offset < last
        if inside and kind == "equal":
            return to_first + offset - first
        if inside:
            return to_last if from_above else to_first
    return len(cleaned)


def slug(text: str) -> str:
    """Return a name for tensors and files that is derived from ``text`` as FORMAT.md, "Slugs", defines."""
    normal = unicodedata.normalize("NFC", text)
    kept = "".join(char if unicodedata.category(char)[0] in "LNM" else "_" for char in normal)
    name = re.sub("_+", "_", kept).strip("_")
    return _cut(name, MAX_SLUG_BYTES).rstrip("_") or "word"


def unique_slugs(texts: Sequence[str]) -> list[str]:
    """Return a slug for each text; among equal slugs (ignoring case), the second gets ``_2`` and so on."""
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
    """Return the longest prefix that fits into ``size`` bytes of UTF-8."""
    return text.encode()[:size].decode(errors="ignore")
