"""Trains the text encoder of the embedded model to predict, at each word, the attributes of the word's object.

Large models use an encoder pretrained on much text. This one learns from captions alone, before the transformer is
trained, and is then frozen. When both were trained together, the encoder hardly learnt which colour belongs to which
object, and without that two objects exchange their shapes.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import WanPipeline
from torch import Tensor, nn
from torch.nn import functional
from transformers import BatchEncoding

from generator.tiny.captions import Said, draw_caption, text
from generator.tiny.descent import Descent, Phase
from generator.tiny.shapes import COLOURS, DIRECTIONS, SHAPES, Thing, draw_scene

STEPS = 600
CAPTIONS = 64
"""Captions per step."""

TWO_OBJECTS = 0.75
"""Share of the captions with two objects; captions of one object teach little."""

KEYS = 20
"""Number of keys, more than any caption has tokens, so that the last one is always padding."""

NOT_ASKED = -100
"""Label of tokens that a question does not apply to."""

_ASKED = {"colour": tuple(COLOURS), "shape": SHAPES, "direction": tuple(DIRECTIONS)}

_one_at_a_time = threading.Lock()


class Questions(nn.Module):
    """Linear classifiers on each token: its word, and the colour, shape and direction of its object.

    One additional class means that the caption does not mention the attribute. The first classifier keeps the states of
    an object's words distinct. All are used only during training.
    """

    def __init__(self, channels: int, vocabulary: int) -> None:
        super().__init__()
        classes = (vocabulary, *(len(names) + 1 for names in _ASKED.values()))
        self.questions = nn.ModuleList(nn.Linear(channels, number) for number in classes)

    def forward(self, states: Tensor) -> list[Tensor]:
        """Return scores ``[caption, token, class]`` per question for states ``[caption, token, channel]``."""
        return [question(states) for question in self.questions]


def train(pipe: WanPipeline, folder: Path, *, seed: int, workers: int, steps: int = STEPS) -> Questions:
    """Train the text encoder of ``pipe`` in place, with checkpoints in ``folder``; return the trained classifiers."""
    encoder = pipe.text_encoder
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        questions = Questions(encoder.config.d_model, len(pipe.tokenizer)).to(encoder.device)

    def loss_of(step: int, samples: range) -> Tensor:
        return loss(pipe, questions, [_draw(np.random.default_rng((seed, 3, step, sample))) for sample in samples])

    modules = (encoder, questions)
    Descent(Phase("reading", modules, lambda _: CAPTIONS, loss_of, steps, lr=0.01, adam_lr=3e-3), folder, workers).run()
    return questions


def _draw(rng: np.random.Generator) -> list[Said]:
    return draw_caption(rng, draw_scene(rng, 1 + int(rng.random() < TWO_OBJECTS)))


def loss(pipe: WanPipeline, questions: Questions, captions: Sequence[Sequence[Said]]) -> Tensor:
    """Compute the mean cross-entropy of captions, each a sum over its tokens, so that an empty caption adds 0."""
    tokens = _tokenise(pipe, [text(caption) for caption in captions])
    words = tokens.input_ids.masked_fill(tokens.attention_mask == 0, NOT_ASKED)
    said = torch.tensor([right_answers(caption) for caption in captions], device=words.device)
    losses = [
        functional.cross_entropy(scores.flatten(0, 1), right.flatten(), ignore_index=NOT_ASKED, reduction="sum")
        for scores, right in zip(questions(_encode(pipe, tokens)), (words, *said.unbind(-1)), strict=True)
    ]
    return torch.stack(losses).sum() / (len(captions) * KEYS)


def right_answers(caption: Sequence[Said]) -> list[list[int]]:
    """Return the labels of each token's object, ``[token][colour, shape, direction]``, for `KEYS` tokens.

    Words that describe no object, the end token and padding are labelled `NOT_ASKED`.
    """
    rows = [_said_of(said.thing, caption) for said in caption]
    return rows + [[NOT_ASKED] * len(_ASKED)] * (KEYS - len(rows))


def _said_of(thing: Thing | None, caption: Sequence[Said]) -> list[int]:
    if thing is None:
        return [NOT_ASKED] * len(_ASKED)
    mentioned = {said.word for said in caption if said.thing is thing}
    values = ((names, getattr(thing, kind)) for kind, names in _ASKED.items())
    return [names.index(value) if value in mentioned else len(names) for names, value in values]


def embed(pipe: WanPipeline, captions: Sequence[str]) -> Tensor:
    """Encode captions as the pipeline does, truncated to `KEYS` keys: ``[caption, key, channel]``, zero for padding."""
    return _encode(pipe, _tokenise(pipe, captions))


def _tokenise(pipe: WanPipeline, captions: Sequence[str]) -> BatchEncoding:
    # A tokenizer stores its padding as internal state, which two threads must not set at once.
    with _one_at_a_time:
        found = pipe.tokenizer(list(captions), padding="max_length", max_length=KEYS, return_tensors="pt")
    return found.to(pipe.text_encoder.device)


def _encode(pipe: WanPipeline, tokens: BatchEncoding) -> Tensor:
    states: Tensor = pipe.text_encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
    encoded: Tensor = states * tokens.attention_mask[..., None]
    return encoded
