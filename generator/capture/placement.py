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
from generator.capture.taps import TEXT, NetworkCall
from generator.capture.unproven import doubtful, not_received, refuse_positions_beyond, shown, unknown
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


@dataclass
class BranchText:
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
    original: tuple[TrackedWord, ...] | None = None
    """The words as they were expected, if the encoder's output is rearranged."""
    embeddings: Tensor | None = field(default=None, repr=False)
    """What was examined last: as long as it is the same, so are the places."""
    columns: Sequence[int] | None = None
    """Place among the text keys of each position of the text; None if they are the same."""

    def keys(self, positions: Sequence[int]) -> tuple[int, ...]:
        """Return the places of text positions among the text keys of a layer."""
        return tuple(positions) if self.columns is None else tuple(self.columns[position] for position in positions)


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
        if keep.reserved and not model.knows_padding:
            raise CaptureError(
                f"store_reserved: {model.name} moves or replaces the padding of a text, so its mass is not known. "
                "Switch store_reserved off"
            )
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
        """Return the places of all names among the text keys of a layer, in order.

        In cross-attention, the mass of the padding is 1 minus that of the other tokens, so these are listed in its
        place. They are fewer, and summing hundreds of equal probabilities would be less exact.
        """
        text = self._text_at(branch)
        text.is_read = True
        positions = tuple(text.keys(word.positions) for word in text.words)
        tokens = self._texts[branch].given or self._texts[branch].expected
        if not self._keep.reserved or tokens is None:
            return positions
        apart = self._model.text_place is TextPlace.APART
        return (*positions, tuple(range(tokens.length)) if apart else tokens.padding, tokens.end)

    def words_of(self, branch: str) -> tuple[TrackedWord, ...]:
        """Return the words of a branch's own text, as far as their maps are kept."""
        return self._texts[branch].words if branch in self._keep.branches else ()

    def keys_of(self, branch: str, word: TrackedWord) -> tuple[int, ...]:
        """Return the places of a word of a branch's own text among the text keys of a layer."""
        return self._texts[branch].keys(word.positions)

    def summary(self) -> dict[str, str]:
        """Return how the places in each branch are known."""
        proofs = {branch: self._texts[branch].proof for branch in self._keep.branches}
        return {branch: proof for branch, proof in proofs.items() if proof is not None}

    def prove(self, branches: Sequence[str], call: NetworkCall) -> None:
        """Find the words in the text of each branch that a network's call computes.

        Args:
            branches: guidance branches of the samples, in order
            call: the call, and what it receives of the prompts, ``[sample, position, channel]``

        Raises:
            CaptureError: if the text is not known, or a word is not certain to be at some place in it.

        """
        received = call.arguments.get(TEXT)
        if call.text is not None:
            self.text_keys = call.text.shape[1]
        for number, branch in enumerate(branches):
            text = self._texts[branch]
            is_known = received is not None and text.embeddings is received
            if is_known or not (text.words or branch in self._keep.branches):
                continue
            text.embeddings = received
            self._prove(branch, text, self._received(text, call, number))

    def _received(self, text: BranchText, call: NetworkCall, number: int) -> Tensor | None:
        """Return the embeddings of one branch, before the text stage, and find out where its keys are."""
        embeddings, given = call.text, call.arguments
        if self._model.text_stage is not None:
            stage = self._heard.stage
            is_of_stage = stage is not None and stage.output is embeddings
            embeddings, given = (stage.text, stage.arguments) if stage is not None and is_of_stage else (None, given)
        if embeddings is None:
            return None
        sample = call.sample(number) * len(embeddings) // call.batch
        text.columns = self._model.text_columns(given, sample)
        return self._model.encoded(embeddings[sample])

    def _words_at(self, branch: str) -> tuple[TrackedWord, ...]:
        """Return the words whose positions are recorded in a branch."""
        return self._text_at(branch).words

    def _text_at(self, branch: str) -> BranchText:
        """Return the text with the words whose positions are recorded in a branch."""
        return self._texts[branch] if self._texts[branch].words else self._texts[CONDITIONAL]

    def _prove(self, branch: str, text: BranchText, embeddings: Tensor | None) -> None:
        if text.words and not any(word.ids for word in text.words):
            refuse_positions_beyond(text.words, self.text_keys)
            text.proof = BY_CALLER
            return
        before = text.words
        if self._model.rearranges_text:
            proof = self._locate_moved(branch, text, embeddings)
        else:
            proof = self._locate_in_place(branch, text, embeddings)
        if text.words != before and text.is_read:
            raise CaptureError(
                "the text that the denoising network receives changed after its first step, and the tracked words "
                "are at other positions in it. Keep the prompt as it is while a video is generated"
            )
        text.proof = proof

    def _locate_in_place(self, branch: str, text: BranchText, embeddings: Tensor | None) -> str | None:
        """Find the words in a text that is the output of the encoder, or its end; return what proves it."""
        origin, proof = self._origin(text, embeddings)
        if origin is None:
            if text.words or self._needs_length(branch):
                raise CaptureError(unknown(branch))
            return None
        cut = len(origin.ids) - self.text_keys
        ids, length = origin.ids[cut:], max(origin.length - cut, 0)
        expected = text.expected
        if expected is not None and ids[:length] == expected.ids[: expected.length]:
            text.given = replace(expected, ids=ids)  # the padding may be longer or shorter
        else:
            text.given, text.words = self._located(text, ids, length)
        return proof

    def _locate_moved(self, branch: str, text: BranchText, embeddings: Tensor | None) -> str | None:
        """Find the words in a text of rows of the encoder's output, each by its values; return what proves it."""
        origin, rows = (None, {}) if embeddings is None else self._heard.moved(embeddings)
        if not text.words:
            return None
        if origin is None:
            raise CaptureError(unknown(branch))
        expected = text.original if text.original is not None else text.words
        ids = origin.ids[: origin.length]
        start = None if text.expected is None else _found(text.expected.ids[: text.expected.length], ids)
        if start is None:
            _, words = self._located(replace(text, words=expected), ids, origin.length)
        else:
            words = tuple(
                replace(word, positions=tuple(start + place for place in word.positions)) for word in expected
            )
        text.original = expected
        for word in words:
            if any(place not in rows for place in word.positions):
                raise CaptureError(not_received(word))
        text.words = tuple(replace(word, positions=tuple(rows[place] for place in word.positions)) for word in words)
        return BY_EMBEDDINGS

    def _needs_length(self, branch: str) -> bool:
        """Whether the padding of a branch is recorded, which words of the caller's own places say nothing about."""
        return self._keep.reserved and branch in self._keep.branches and any(word.ids for word in self.words)

    def _origin(self, text: BranchText, embeddings: Tensor | None) -> tuple[HeardText | None, str]:
        """Return the text that the encoder was given for a branch, and what proves it."""
        origin = None if embeddings is None else self._heard.origin(embeddings)
        if origin is not None or text.expected is None:
            return origin, BY_EMBEDDINGS
        expected = text.expected.ids
        return self._heard.ending_with(expected, embeddings), BY_IDS

    def _located(
        self, text: BranchText, ids: tuple[int, ...], length: int
    ) -> tuple[TokenSequence, tuple[TrackedWord, ...]]:
        """Return another text than the expected one, and the words at their places in it."""
        model = self._model
        if not text.words:
            return _without_text(ids, length), ()
        sequence = read_back(model.tokenizer, ids, length)
        if text.prompt is None or sequence is None:
            if all(tuple(ids[place] for place in word.positions) == word.ids for word in text.words):
                return sequence or _without_text(ids, length), text.words
            raise CaptureError(doubtful(text.words[0], text.prompt, sequence))
        words = tuple(relocated(word, text.prompt, model.clean, sequence) for word in text.words)
        for word, found in zip(text.words, words, strict=True):
            if found is None:
                raise CaptureError(doubtful(word, text.prompt, sequence))
        found_words = tuple(word for word in words if word is not None)
        if text.prompt is not None and sequence.text.strip() == model.clean(text.prompt).strip():
            return sequence, found_words
        log.warning(
            "the pipeline encodes another text than the prompt: %s. %s",
            shown(sequence.text),
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


def _text(model: VideoModel, words: tuple[TrackedWord, ...], prompt: str | None) -> BranchText:
    return BranchText(words, prompt, None if prompt is None else model.tokenise(model.clean(prompt)))


def _without_text(ids: tuple[int, ...], length: int) -> TokenSequence:
    nothing = (0, 0)
    return TokenSequence("", ids, (nothing,) * len(ids), ("",) * len(ids), length, length)


def _found(sought: tuple[int, ...], ids: tuple[int, ...]) -> int | None:
    """Return the only place of a sequence of ids in another one; None if there is none, or more."""
    places = [start for start in range(len(ids) - len(sought) + 1) if ids[start : start + len(sought)] == sought]
    return places[0] if len(places) == 1 else None
