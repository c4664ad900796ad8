"""Training the text encoder of the embedded model: labels, loss and result."""

import numpy as np
import pytest
import torch

from generator.tiny import reading
from generator.tiny.captions import UNKNOWN, Said, draw_caption, text
from generator.tiny.networks import build, build_tokenizer
from generator.tiny.reading import KEYS, NOT_ASKED, Questions
from generator.tiny.shapes import COLOURS, DIRECTIONS, SHAPES, draw_scene, place

COLOUR_NAMES, DIRECTION_NAMES = list(COLOURS), list(DIRECTIONS)


@pytest.fixture(autouse=True)
def _one_core():
    torch.set_num_threads(1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def captions(rng):
    return [draw_caption(rng, draw_scene(rng, 2)) for _ in range(4)]


def loss_of(captions):
    pipe = build()
    torch.manual_seed(0)
    with torch.no_grad():
        return reading.loss(pipe, Questions(pipe.text_encoder.config.d_model, len(pipe.tokenizer)), captions)


def test_the_labels_of_a_word_are_the_mentioned_attributes_of_its_object(rng):
    circle, star = place(rng, [("red", "circle", "left"), ("blue", "star", "up")]).things
    caption = [
        *(Said(word, circle) for word in ("a", "circle", "moving", "left")),
        Said("and", None),
        *(Said(word, star) for word in ("blue", "star")),
    ]
    first = [len(COLOURS), SHAPES.index("circle"), DIRECTION_NAMES.index("left")]
    second = [COLOUR_NAMES.index("blue"), SHAPES.index("star"), len(DIRECTIONS)]
    nothing = [NOT_ASKED] * 3
    assert reading.right_answers(caption) == [*[first] * 4, nothing, second, second, *[nothing] * (KEYS - 7)]


def test_every_word_is_one_token_and_every_caption_ends_with_padding(rng):
    tokenizer = build_tokenizer()
    captions = [draw_caption(rng, draw_scene(rng, 2)) for _ in range(300)]
    assert all(len(tokenizer(text(caption)).input_ids) == len(caption) + 1 for caption in captions)
    phrase = "a red circle moving left"
    longest = tokenizer(f"a video of {UNKNOWN} {phrase} and {phrase}").input_ids
    assert max(len(caption) + 1 for caption in captions) <= len(longest) < KEYS


def test_the_loss_is_the_mean_over_captions_including_empty_ones(captions):
    halves = torch.stack([loss_of(captions[:2]), loss_of(captions[2:])])
    torch.testing.assert_close(loss_of(captions), halves.mean())
    assert torch.isfinite(loss_of([[], []]))


def test_short_training_teaches_which_words_belong_together(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "CAPTIONS", 16)
    pipe = build()
    questions = reading.train(pipe, tmp_path, seed=0, workers=2, steps=200)
    caption = "a red circle moving left and a blue star moving up"
    with torch.no_grad():
        _, colours, shapes, directions = (scores[0].argmax(-1) for scores in questions(reading.embed(pipe, [caption])))
    assert [COLOUR_NAMES[number] for number in colours[[2, 8]]] == ["red", "blue"]
    assert [SHAPES[number] for number in shapes[[1, 7]]] == ["circle", "star"]
    assert [DIRECTION_NAMES[number] for number in directions[[2, 8]]] == ["left", "up"]
