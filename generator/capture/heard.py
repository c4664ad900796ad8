"""Hears what a model's text encoder is given, and recognises its output where a denoising network receives it.

The tokens that a pipeline was expected to encode prove nothing: it may expand the prompt, put it into a template, or
encode another text. So the ids of each call of the text encoder are noted together with a few channels of its hidden
states. The embeddings that a network receives are compared with these, position by position.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from generator.capture.replacing import Function, replaced, shared
from generator.models.contract import Arguments, VideoModel

CHANNELS = 16
"""Number of channels of a hidden state that are compared."""
TOLERANCE = 0.02
"""Largest relative difference that conversions between data types explain; bfloat16 has 8 bits of precision."""
MUCH = 4
"""How much nearer a row must be than any other one."""
MOST_TEXTS = 64
"""Number of texts that are remembered."""
_AXES = 3
"""Axes of hidden states: text, position and channel."""
_COMPILED = "_compiled_call_impl"
"""Through this attribute, a network that was compiled in place is called. Hooks would become part of its code."""


@dataclass(frozen=True)
class HeardText:
    """One text that the encoder was given, and what it made of it."""

    ids: tuple[int, ...]
    length: int
    """Number of tokens before the padding."""
    states: Tensor
    """Some channels of each of its hidden states: ``[state, position, channel]``, float32."""

    def made(self, embeddings: Tensor) -> bool:
        """Whether ``embeddings``, ``[position, channel]``, are a hidden state of this text, or the end of one."""
        cut = len(self.ids) - len(embeddings)
        if cut < 0 or embeddings.shape[1] < self.states.shape[2]:
            return False
        count = self.length - cut if self.length > cut else len(embeddings)  # the padding may have been replaced
        return _is_one(self.states[:, cut : cut + count], embeddings[:count])

    def places_in(self, embeddings: Tensor) -> dict[int, int]:
        """Return the rows of ``embeddings``, ``[position, channel]``, by the tokens that they were made of.

        Only what is certain: a row that is like a token, much more than any other row is, and like no other token more.
        """
        found: dict[int, int] = {}
        if embeddings.shape[1] < self.states.shape[2]:
            return found
        rows = embeddings[:, : self.states.shape[2]].detach().to(self.states.device, torch.float32)
        for states in self.states[:, : self.length]:
            distances = torch.cdist(states, rows, compute_mode="donot_use_mm_for_euclid_dist")
            (nearest, *others), (place, *_) = (
                each.unbind(1) for each in distances.topk(min(2, len(rows)), largest=False)
            )
            is_like = torch.le(nearest, TOLERANCE * states.norm(dim=-1))
            is_alone = torch.lt(nearest, others[0] / MUCH) if others else torch.ones_like(is_like)
            is_mutual = distances.argmin(0)[place] == torch.arange(len(states), device=place.device)
            certain = (is_like & is_alone & is_mutual).nonzero().flatten().tolist()
            found = max(found, {token: int(place[token]) for token in certain}, key=len)
        return found

    def is_moved_in(self, embeddings: Tensor) -> bool:
        """Whether ``embeddings``, ``[position, channel]``, contain a hidden state of this text behind other tokens."""
        last = len(embeddings) - self.length
        if last < 1 or not self.length or embeddings.shape[1] < self.states.shape[2]:
            return False
        begins = _are_near(self.states[:, :1], embeddings[1 : last + 1]).any(0).nonzero().flatten().tolist()
        states = self.states[:, : self.length]
        return any(_is_one(states, embeddings[place + 1 : place + 1 + self.length]) for place in begins)


def _is_one(states: Tensor, embeddings: Tensor) -> bool:
    """Whether ``embeddings``, ``[position, channel]``, are one of ``states``, ``[state, position, channel]``."""
    return bool(_are_near(states, embeddings).all(-1).any())


def _are_near(states: Tensor, embeddings: Tensor) -> Tensor:
    """Return for each state and position, ``[state, position]``, whether the two are equal but for rounding."""
    found = embeddings[:, : states.shape[2]].detach().to(states.device, torch.float32)
    return torch.le((states - found).norm(dim=-1), TOLERANCE * states.norm(dim=-1))


@dataclass(frozen=True)
class StageCall:
    """A call of the network between text encoder and denoising network (`VideoModel.text_stage`)."""

    arguments: Arguments
    text: Tensor
    """Its first argument: what it received of the prompts."""
    output: Tensor
    """What the denoising network receives of it."""


class Heard:
    """The texts that a model's text encoder was given, the last one at the end."""

    def __init__(self, pad_id: int | None, end_id: int | None) -> None:
        self.texts: deque[HeardText] = deque(maxlen=MOST_TEXTS)
        self.prompts: list[Tensor] = []
        """What the pipeline's ``encode_prompt`` returned in the running call, each prompt once."""
        self.stage: StageCall | None = None
        """The last call of the network between text encoder and denoising network."""
        self._pad_id = pad_id
        self._end_id = end_id

    def origin(self, embeddings: Tensor) -> HeardText | None:
        """Return the text that ``embeddings``, ``[position, channel]``, were made of; None if it was not heard.

        A causal encoder makes the same of a text that is the beginning of another: then it is the longer one.
        """
        made = (text for text in reversed(list(self.texts)) if text.made(embeddings))
        return max(made, key=lambda text: text.length, default=None)

    def moved(self, embeddings: Tensor) -> tuple[HeardText | None, dict[int, int]]:
        """Return the text of which ``embeddings`` contain most, and their rows by its tokens."""
        texts = list(reversed(self.texts))
        places = [text.places_in(embeddings) for text in texts]
        best = max(range(len(texts)), key=lambda number: len(places[number]), default=None)
        return (None, {}) if best is None or not places[best] else (texts[best], places[best])

    def begin_call(self) -> None:
        """Forget what was encoded for the call of the pipeline before."""
        self.prompts.clear()

    def note_prompts(self, encoded: object) -> None:
        """Note what ``encode_prompt`` returned."""
        for found in _tensors(encoded):
            if found.ndim == _AXES and found.is_floating_point() and all(found is not known for known in self.prompts):
                self.prompts.append(found)

    def note_stage(self, names: list[str], args: tuple[Any, ...], kwargs: Arguments, output: object) -> None:
        """Note a call of the network between text encoder and denoising network."""
        arguments = {**dict(zip(names, args, strict=False)), **kwargs}
        text, first = arguments.get(names[0]), next(_tensors(output), None)
        if isinstance(text, Tensor) and first is not None:
            self.stage = StageCall(arguments, text, first)

    def ending_with(self, ids: tuple[int, ...], embeddings: Tensor | None) -> HeardText | None:
        """Return the text whose tokens are, or end with, the padded sequence ``ids``; None if it was not heard.

        None also if ``embeddings``, ``[position, channel]``, show that its tokens are at other positions in them.
        """
        found = next((text for text in reversed(list(self.texts)) if text.ids[-len(ids) :] == ids), None)
        if found is None or embeddings is None:
            return found
        return None if len(embeddings) > len(found.ids) or found.is_moved_in(embeddings) else found

    def note(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: object) -> None:
        """Note a call of the text encoder."""
        ids = _tensor(args, kwargs, 0, "input_ids")
        if ids is None or ids.ndim != _AXES - 1:
            return
        states = [state for state in _tensors(output) if state.ndim == _AXES and state.shape[:2] == ids.shape]
        if not states:
            return
        mask = _tensor(args, kwargs, 1, "attention_mask")
        channels = torch.stack([state[..., :CHANNELS].detach().float() for state in states], 1)
        masks = mask.tolist() if mask is not None and mask.shape == ids.shape else [None] * len(ids)
        for row, its_mask, its_states in zip(ids.tolist(), masks, channels, strict=True):
            self.texts.append(HeardText(tuple(row), self._length(row, its_mask), its_states))

    def _length(self, ids: list[int], mask: list[int] | None) -> int:
        """Return the number of tokens before the padding."""
        if mask is not None:
            return max((place + 1 for place, is_token in enumerate(mask) if is_token), default=0)
        padded = len(ids)
        while padded and ids[padded - 1] == self._pad_id:
            padded -= 1
        is_end = self._pad_id == self._end_id and padded < len(ids)  # the first one of them ends the text
        return padded + is_end


@contextmanager
def hearing(model: VideoModel) -> Iterator[Heard]:
    """Hear the text encoder of ``model`` inside the context, and what its pipeline makes of the output."""
    heard = Heard(model.tokenizer.pad_token_id, model.tokenizer.eos_token_id)
    encoder, stage = model.text_encoder, model.text_stage
    with ExitStack() as stack:
        if encoder is not None and vars(encoder).get(_COMPILED) is not None:
            stack.enter_context(_told(encoder, heard))
            stack.enter_context(shared(encoder, _COMPILED, partial(_noted, encoder)))
        elif encoder is not None:
            stack.callback(encoder.register_forward_hook(_heard_by(heard.note), with_kwargs=True).remove)
        if stage is not None:
            names = list(signature(type(stage).forward).parameters)[1:]
            note = partial(heard.note_stage, names)
            stack.callback(stage.register_forward_hook(_heard_by(note), with_kwargs=True).remove)
        if not model.guidance_in_one_batch:
            encode = _prompts_noted(model.pipe.encode_prompt, heard)
            stack.enter_context(replaced(model.pipe, "encode_prompt", encode))
        yield heard


def _heard_by(note: Callable[[tuple[Any, ...], Arguments, object], None]) -> Callable[..., None]:
    """Return a forward hook."""
    return lambda _, args, kwargs, output: note(args, kwargs, output)


def _prompts_noted(encode: Function, heard: Heard) -> Function:
    @wraps(encode)
    def noted(*args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - as the wrapped function
        encoded = encode(*args, **kwargs)
        heard.note_prompts(encoded)
        return encoded

    return noted


_listeners: dict[nn.Module, tuple[Heard, ...]] = {}
"""Who hears a text encoder that was compiled in place; pipelines may share one."""


@contextmanager
def _told(encoder: nn.Module, heard: Heard) -> Iterator[None]:
    """Let ``heard`` note the calls of a text encoder that was compiled in place."""
    _listeners[encoder] = (*_listeners.get(encoder, ()), heard)
    try:
        yield
    finally:
        others = tuple(each for each in _listeners.pop(encoder) if each is not heard)
        if others:
            _listeners[encoder] = others


def _noted(encoder: nn.Module, call: Function) -> Function:
    @wraps(call)
    def noted(*args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - as the wrapped function
        output = call(*args, **kwargs)
        for heard in _listeners.get(encoder, ()):
            heard.note(args, kwargs, output)
        return output

    return noted


def _tensor(args: tuple[Any, ...], kwargs: Mapping[str, Any], place: int, name: str) -> Tensor | None:
    found = kwargs.get(name, args[place] if place < len(args) else None)
    return found if isinstance(found, Tensor) else None


def _tensors(output: object) -> Iterator[Tensor]:
    """Yield all tensors of a network's output, which is a tensor, a tuple or a mapping of these."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, tuple | list):
        for value in output:
            yield from _tensors(value)
