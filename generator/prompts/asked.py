"""Reads which words a caller wants to track: words or phrases of the prompt, or positions among its tokens."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from generator.errors import UsageError
from generator.prompts.template import Variation, find_words
from generator.prompts.tokens import (
    TokenSequence,
    TrackedWord,
    locate,
    locate_negative,
    refuse_absent_negative,
    unique_slugs,
)

_EXPECTED = (
    'expected words or phrases of the prompt, such as ["kiss", "two men"], or the positions of each word among its '
    'tokens, such as {"kiss": [3, 4]}'
)


@dataclass(frozen=True)
class Asked:
    """What to track in a prompt: words, or positions by name."""

    words: tuple[str, ...] = ()
    positions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    negative: tuple[str, ...] = ()
    """Words of the negative prompt."""

    def refuse_absent(self, prompts: Sequence[str], negatives: Sequence[str]) -> None:
        """Raise UsageError for a word that is in none of the prompts, or a prompt without any word."""
        for word in self.words:
            if not any(find_words(prompt, [word]) for prompt in prompts):
                more = f" and {len(prompts) - 1} more" if len(prompts) > 1 else ""
                raise UsageError(
                    f"words: found no {word!r} in the prompt {prompts[0]!r}{more}. Spell words as in the prompt"
                )
        for prompt in prompts:
            if self.words and not (self.positions or self.negative or find_words(prompt, self.words)):
                raise UsageError(
                    f"words: found none of them in the prompt {prompt!r}; expected one in each prompt of a call"
                )
        refuse_absent_negative(self.negative, negatives)

    def locate(
        self, prompt: str, negative: str, clean: Callable[[str], str], tokenise: Callable[[str], TokenSequence]
    ) -> tuple[TrackedWord, ...]:
        """Return the tracked words that are in a prompt and in its negative prompt.

        Raises:
            UsageError: for a word that has no token, or is cut off, or a position beyond the last token.

        """
        return (
            *self._placed(len(tokenise("").ids)),
            *locate(Variation(1, prompt, find_words(prompt, self.words), {}), clean, tokenise),
            *locate_negative(negative, self.negative, clean, tokenise),
        )

    def _placed(self, tokens: int) -> tuple[TrackedWord, ...]:
        for name, positions in self.positions.items():
            if max(positions) >= tokens:
                raise UsageError(
                    f"words: found position {max(positions)} for {name!r}; expected positions from 0 to {tokens - 1}"
                )
        slugs = unique_slugs(list(self.positions))
        return tuple(
            TrackedWord(slug, name, None, positions, ())
            for slug, (name, positions) in zip(slugs, self.positions.items(), strict=True)
        )


def asked(
    words: object,
    further: Iterable[str] = (),
    negative: Iterable[str] = (),
    at: Mapping[str, Iterable[int]] | None = None,
) -> Asked:
    """Return what a caller asks for; one word may stand for a list of one.

    Args:
        words: words, or positions by name
        further: words to track besides, wherever they occur
        negative: words of the negative prompt
        at: positions by name, besides

    Raises:
        UsageError: for anything but words or positions, and if nothing is to be tracked.

    """
    placed = {_word(name): _places(name, found) for name, found in (at or {}).items()}
    if isinstance(words, Mapping):
        placed |= {_word(name): _places(name, found) for name, found in words.items()}
        wanted = Asked((), placed, tuple(negative))
    else:
        each = [words] if isinstance(words, str) else words
        if isinstance(each, bytes) or not isinstance(each, Iterable):
            raise UsageError(f"words: found {words!r:.80}; {_EXPECTED}")
        wanted = Asked((*map(_word, each), *further), placed, tuple(negative))
    if not (wanted.words or wanted.positions or wanted.negative):
        raise UsageError(f"words: found none; {_EXPECTED}")
    return wanted


def _word(word: object) -> str:
    if not isinstance(word, str) or not word.strip():
        raise UsageError(f"words: found {word!r:.80}; {_EXPECTED}")
    return str(word)


def _places(name: object, found: object) -> tuple[int, ...]:
    each = [found] if isinstance(found, int | np.integer) else found
    places = tuple(each) if isinstance(each, Iterable) and not isinstance(each, str | bytes) else ()
    whole = [int(place) for place in places if isinstance(place, int | np.integer) and not isinstance(place, bool)]
    if not whole or len(whole) != len(places) or min(whole) < 0:
        raise UsageError(f"words: found {found!r:.80} for {name!r}; expected positions from 0, such as [3, 4]")
    return tuple(dict.fromkeys(whole))
