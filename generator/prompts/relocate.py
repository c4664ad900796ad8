"""Finds tracked words in the tokens that a text encoder was really given, which may differ from those expected.

A pipeline may put the prompt into a template of the user's, expand it, or add to it. The text is read back from the
tokens, and a word counts as found only if there is no doubt which of its occurrences is meant.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from tokenizers.decoders import ByteLevel

from generator.prompts.template import find_words
from generator.prompts.tokens import TokenSequence, TrackedWord, move_span, positions_of


def read_back(tokenizer: Any, ids: Sequence[int], length: int) -> TokenSequence | None:  # noqa: ANN401 - of transformers
    """Return the tokens ``ids``, of which all from ``length`` on are padding, with the text that they stand for.

    None if the tokenizer splits that text into other tokens, because then nothing tells where its words are.
    """
    first, last = _without_ends(tokenizer, ids[:length])
    pieces = tokenizer.convert_ids_to_tokens(list(ids))
    for text in _readings(tokenizer, ids[first:last], pieces[first:last]):
        found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        if tuple(found["input_ids"]) == tuple(ids[first:last]):
            outside = (0, 0)
            offsets = (*[outside] * first, *map(tuple, found["offset_mapping"]), *[outside] * (len(ids) - last))
            return TokenSequence(text, tuple(ids), offsets, tuple(pieces), length, length, tokenizer.unk_token_id)
    return None


def _readings(tokenizer: Any, ids: Sequence[int], pieces: list[str]) -> Iterator[str]:  # noqa: ANN401
    yield tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    yield ByteLevel().decode(pieces)  # a byte-level tokenizer may have been saved without its decoder


def _without_ends(tokenizer: Any, ids: Sequence[int]) -> tuple[int, int]:  # noqa: ANN401
    """Return the range of ``ids`` without the special tokens at its beginning and end."""
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    plain = [place for place, id_ in enumerate(ids) if id_ not in special]
    return (plain[0], plain[-1] + 1) if plain else (0, 0)


def relocated(
    word: TrackedWord, prompt: str, clean: Callable[[str], str], sequence: TokenSequence
) -> TrackedWord | None:
    """Return ``word`` of ``prompt`` at its positions in ``sequence``; None if it is not there, or not certain.

    It is certain if the whole prompt is in the text once, or if the text has the word as often as the prompt.

    Args:
        word: the word with the expected positions
        prompt: the prompt that its span refers to
        clean: the pipeline's own cleaning of prompts
        sequence: the tokens that the text encoder was given

    """
    place = _in_whole_prompt(word, prompt, clean, sequence.text) or _by_counting(word, prompt, sequence.text)
    positions = positions_of(sequence, *place) if place else ()
    if not positions:
        return None
    return replace(word, positions=positions, ids=tuple(sequence.ids[position] for position in positions))


def _in_whole_prompt(word: TrackedWord, prompt: str, clean: Callable[[str], str], text: str) -> tuple[int, int] | None:
    cleaned = clean(prompt)
    sought, origins = _squeezed(cleaned)
    found, places = _squeezed(text)
    first = found.find(sought)
    if not sought or first < 0 or found.find(sought, first + 1) >= 0:
        return None
    before, after = text[: places[first]], text[places[first + len(sought) - 1] + 1 :]
    if _goes_on(before[-1:], cleaned.lstrip()[:1]) or _goes_on(cleaned.rstrip()[-1:], after[:1]):
        return None  # it is part of another word
    start, end = (0, 0) if word.span is None else move_span(prompt, word.span, clean)
    inside = [places[first + number] for number, origin in enumerate(origins) if start <= origin < end]
    return (inside[0], inside[-1] + 1) if inside else None


def _goes_on(one: str, other: str) -> bool:
    """Whether two adjacent characters belong to one word."""
    return one.isalnum() and other.isalnum()


def _by_counting(word: TrackedWord, prompt: str, text: str) -> tuple[int, int] | None:
    """Find the occurrence with the same number if the text has as many as the prompt."""
    expected = [(span.start, span.end) for span in find_words(prompt, [word.text])]
    found = find_words(text, [word.text])
    if word.span not in expected or len(found) != len(expected):
        return None
    occurrence = found[expected.index(word.span)]
    return occurrence.start, occurrence.end


def _squeezed(text: str) -> tuple[str, list[int]]:
    """Return a text without case, white space and compatibility characters, and the place of each character."""
    kept = [
        (letter, place)
        for place, character in enumerate(text)
        for letter in unicodedata.normalize("NFKC", character).casefold()
        if not letter.isspace()
    ]
    return "".join(letter for letter, _ in kept), [place for _, place in kept]
