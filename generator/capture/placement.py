"""Proves where each tracked word is among the text tokens that a denoising network receives.

Every capture of every model goes through `Placement.prove`, before the first denoising step of each branch: either the
text that the network receives is known, and the words are at the positions that they have in it, or there is no map.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from generator.capture.heard import Heard, HeardText
from generator.capture.maps import CONDITIONAL, UNCONDITIONAL, Keep
from generator.errors import CaptureError
from generator.models.contract import TextPlace, VideoModel
from generator.prompts.relocate import read_back, relocated
from generator.prompts.tokens import TokenSequence, TrackedWord

log = logging.getLogger(__name__)

PADDING, END = "__padding__", "__eos__"
OF_UNCONDITIONAL, AT_POSITIONS = f"{UNCONDITIONAL}/", f"{UNCONDITIONAL}@"
"""Prefixes of tensor names (FORMAT.md): a word of the negative prompt, and the positions of a word of the prompt."""

BY_EMBEDDINGS, BY_IDS, BY_CALLER = "embeddings", "ids", "caller"
"""How a place is known: the network received what the encoder made of these tokens; the encoder was given exactly the
expected tokens; or the caller gave the positions."""

MOST_SHOWN = 150
"""Characters of a long text that are shown of its beginning, and of its end."""


@dataclass
class _Text:
    """The text of one branch."""

    words: tuple[TrackedWord, ...]
    prompt: str | None
    expected: TokenSequence | None
    """Tokens of the prompt as the pipeline is expected to encode it."""
    given: TokenSequence | None = None
    """Tokens that it was encoded to."""
    proof: str | None = None
    is_read: bool = False
    """Whether the positions of its words are in use."""
    embeddings: Tensor | None = field(default=None, repr=False)
    """What was examined last: as long as it is the same, so are the places."""


class Placement:
    """The names and text positions of all maps of a video, by branch."""

    def __init__(
        self,
        model: VideoModel,
        words: Sequence[TrackedWord],
        keep: Keep,
        prompts: Mapping[str, str],
        heard: Heard,
    ) -> None:
        self._model = model
        self._keep = keep
        self._heard = heard
        own = {
            CONDITIONAL: tuple(word for word in words if not word.negative),
            UNCONDITIONAL: tuple(word for word in words if word.negative),
        }
        self._texts = {branch: _text(model, own[branch], prompts.get(branch)) for branch in own}
        self.text_keys = model.text_keys
        """Number of text tokens that the denoising network receives, including padding."""
        if keep.reserved and not all(self._texts[branch].expected for branch in keep.branches):
            raise CaptureError("store_reserved: the mass of the padding needs the prompt of each branch; found none")

    @property
    def words(self) -> tuple[TrackedWord, ...]:
        """The tracked words of the prompt, then those of the negative prompt, at their places as far as known."""
        return tuple(word for text in self._texts.values() for word in text.words)

    def names(self, branch: str) -> tuple[str, ...]:
        """Return the tensor names of FORMAT.md for the maps of a branch, in the order of their first axis."""
        slugs = [word.slug for word in self._words_at(branch)]
        prefix = ""
        if branch == UNCONDITIONAL:
            prefix = OF_UNCONDITIONAL if self._texts[branch].words else AT_POSITIONS
        reserved = (PADDING, END) if self._keep.reserved else ()
        both = OF_UNCONDITIONAL if branch == UNCONDITIONAL and len(self._keep.branches) > 1 else ""
        return (*(f"{prefix}{slug}" for slug in slugs), *(f"{both}{name}" for name in reserved))

    def positions(self, branch: str) -> tuple[tuple[int, ...], ...]:
        """Return the text positions of all names, in order.

        In cross-attention, the mass of the padding is 1 minus that of the other tokens, so these are listed in its
        place. They are fewer, and summing hundreds of equal probabilities would be less exact.
        """
        text = self._text_at(branch)
        text.is_read = True
        positions = tuple(word.positions for word in text.words)
        tokens = self._texts[branch].given or self._texts[branch].expected
        if not self._keep.reserved or tokens is None:
            return positions
        apart = self._model.text_place is TextPlace.APART
        return (*positions, tuple(range(tokens.length)) if apart else tokens.padding, tokens.end)

    def summary(self) -> dict[str, str]:
        """Return how the places in each branch are known."""
        proofs = {branch: self._texts[branch].proof for branch in self._keep.branches}
        return {branch: proof for branch, proof in proofs.items() if proof is not None}

    def prove(self, branches: Sequence[str], embeddings: Tensor | None) -> None:
        """Find the words in the text of each branch that a network's call computes.

        Args:
            branches: guidance branches of the samples, in order
            embeddings: text that the network receives, ``[sample, position, channel]``; None if that is not known

        Raises:
            CaptureError: if the text is not known, or a word is not certain to be at some place in it.

        """
        if embeddings is not None:
            self.text_keys = embeddings.shape[1]
        for number, branch in enumerate(branches):
            text = self._texts[branch]
            is_known = embeddings is not None and text.embeddings is embeddings
            if is_known or not (text.words or branch in self._keep.branches):
                continue
            text.embeddings = embeddings
            first = None if embeddings is None else embeddings[number * len(embeddings) // len(branches)]
            self._prove(branch, text, first)

    def _words_at(self, branch: str) -> tuple[TrackedWord, ...]:
        """Return the words whose positions are recorded in a branch."""
        return self._text_at(branch).words

    def _text_at(self, branch: str) -> _Text:
        """Return the text with the words whose positions are recorded in a branch."""
        return self._texts[branch] if self._texts[branch].words else self._texts[CONDITIONAL]

    def _prove(self, branch: str, text: _Text, embeddings: Tensor | None) -> None:
        if text.words and not any(word.ids for word in text.words):
            self._refuse_positions_beyond(text)
            text.proof = BY_CALLER
            return
        origin, proof = self._origin(text, embeddings)
        if origin is None:
            if text.words or self._needs_length(branch):
                raise CaptureError(_unknown(branch))
            return
        cut = len(origin.ids) - self.text_keys
        ids, length = origin.ids[cut:], max(origin.length - cut, 0)
        before = text.words
        expected = text.expected
        if expected is not None and ids[:length] == expected.ids[: expected.length]:
            text.given = replace(expected, ids=ids)  # the padding may be longer or shorter
        else:
            text.given, text.words = self._located(text, ids, length)
        if text.words != before and text.is_read:
            raise CaptureError(
                "the text that the denoising network receives changed after its first step, and the tracked words "
                "are at other positions in it. Keep the prompt as it is while a video is generated"
            )
        text.proof = proof

    def _refuse_positions_beyond(self, text: _Text) -> None:
        """Raise CaptureError for positions that the text lacks: in joint attention, the video's tokens follow there."""
        for word in text.words:
            if max(word.positions) >= self.text_keys:
                raise CaptureError(
                    f"words: found position {max(word.positions)} for {word.text!r}; expected positions from 0 to "
                    f"{self.text_keys - 1}, because the denoising network receives {self.text_keys} text tokens. Pass "
                    "the positions among these"
                )

    def _needs_length(self, branch: str) -> bool:
        """Whether the padding of a branch is recorded, which words of the caller's own places say nothing about."""
        return self._keep.reserved and branch in self._keep.branches and any(word.ids for word in self.words)

    def _origin(self, text: _Text, embeddings: Tensor | None) -> tuple[HeardText | None, str]:
        """Return the text that the encoder was given for a branch, and what proves it."""
        origin = None if embeddings is None else self._heard.origin(embeddings)
        if origin is not None or text.expected is None:
            return origin, BY_EMBEDDINGS
        expected = text.expected.ids
        return self._heard.ending_with(expected, embeddings), BY_IDS

    def _located(self, text: _Text, ids: tuple[int, ...], length: int) -> tuple[TokenSequence, tuple[TrackedWord, ...]]:
        """Return another text than the expected one, and the words at their places in it."""
        model = self._model
        if not text.words:
            return _without_text(ids, length), ()
        sequence = read_back(model.tokenizer, ids, length)
        if text.prompt is None or sequence is None:
            if all(tuple(ids[place] for place in word.positions) == word.ids for word in text.words):
                return sequence or _without_text(ids, length), text.words
            raise CaptureError(_doubtful(text.words[0], text.prompt, sequence))
        words = tuple(relocated(word, text.prompt, model.clean, sequence) for word in text.words)
        for word, found in zip(text.words, words, strict=True):
            if found is None:
                raise CaptureError(_doubtful(word, text.prompt, sequence))
        found_words = tuple(word for word in words if word is not None)
        log.warning(
            "the pipeline encodes another text than the prompt: %s. %s",
            _shown(sequence.text),
            "; ".join(f"{word.text!r} is at {list(word.positions)} in it" for word in found_words),
        )
        return sequence, found_words


def kept_branches(words: Sequence[TrackedWord], keep: Keep) -> tuple[str, ...]:
    """Return the branches that have maps to keep: without a word of the prompt, the conditional one has none."""
    are_none = all(word.negative for word in words) and not keep.reserved
    return tuple(branch for branch in keep.branches if not (are_none and branch == CONDITIONAL))


def text_of(model: VideoModel, heard: Heard, embeddings: object) -> str | None:
    """Return the text that the embeddings of one prompt, ``[1, position, channel]``, were made of; None if unknown."""
    if not isinstance(embeddings, Tensor) or len(embeddings) != 1:
        return None
    origin = heard.origin(embeddings[0])
    if origin is None:
        return None
    cut = len(origin.ids) - embeddings.shape[1]
    sequence = read_back(model.tokenizer, origin.ids[cut:], max(origin.length - cut, 0))
    return None if sequence is None else sequence.text


def _text(model: VideoModel, words: tuple[TrackedWord, ...], prompt: str | None) -> _Text:
    return _Text(words, prompt, None if prompt is None else model.tokenise(model.clean(prompt)))


def _without_text(ids: tuple[int, ...], length: int) -> TokenSequence:
    nothing = (0, 0)
    return TokenSequence("", ids, (nothing,) * len(ids), ("",) * len(ids), length, length)


def _unknown(branch: str) -> str:
    prompt = "the negative prompt" if branch == UNCONDITIONAL else "the prompt"
    return (
        f"the denoising network received a text for {prompt} that its pipeline's text encoder was not heard to encode, "
        "so nothing tells where its words are. Expected embeddings that were made inside the `with` block, unchanged: "
        "call the pipeline with a prompt, or call `encode_prompt` inside the block too; or give the positions of the "
        'words among the tokens, such as words={"kiss": [3, 4]}'
    )


def _doubtful(word: TrackedWord, prompt: str | None, sequence: TokenSequence | None) -> str:
    found = "which cannot be read back from its tokens" if sequence is None else f"which is {_shown(sequence.text)}"
    return (
        f"tracked word {word.text!r}: the pipeline encodes another text than the prompt {prompt!r}, {found}; "
        "which of its tokens are this word is not certain. Expected the prompt as a part of it, or the word as often "
        "as in the prompt. Track another word, or pass the pipeline the text that it is to encode"
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 2 * MOST_SHOWN else f"{text[:MOST_SHOWN]} ... {text[-MOST_SHOWN:]}")
