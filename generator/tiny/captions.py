"""Draws captions of scenes in the small vocabulary of the embedded model."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from generator.tiny.shapes import COLOURS, DIRECTIONS, SHAPES, Scene, Thing

WORDS = (
    *COLOURS,
    *SHAPES,
    *DIRECTIONS,
    "a",
    "the",
    "and",
    "with",
    "moving",
    "of",
    "video",
    ",",
)
"""The whole vocabulary; all other words map to one unknown token."""

UNKNOWN = "something"
"""A word outside the vocabulary, so that the model learns to ignore such words."""

NO_CAPTION, NO_ARTICLE, NO_COLOUR, NO_MOTION, MOTION_FIRST, OPENING, ODD_WORD = 0.1, 0.15, 0.1, 0.1, 0.15, 0.1, 0.03
"""Probabilities that a caption is empty, and that one of its parts is left out, moved or added."""


def describe(things: Iterable[Thing]) -> str:
    """Describe objects completely, as in the prompts of the evaluation."""
    return track(things).replace("(", "").replace(")", "")


def track(things: Iterable[Thing]) -> str:
    """Describe objects by a prompt template that tracks their colours and shapes."""
    return " and ".join(f"a ({thing.colour}) ({thing.shape}) moving {thing.direction}" for thing in things)


class Said(NamedTuple):
    """A word of a caption and the object that it describes; None for words such as `and`."""

    word: str
    thing: Thing | None


def text(caption: Iterable[Said]) -> str:
    """Return a caption as one string."""
    return " ".join(said.word for said in caption)


def draw_caption(rng: np.random.Generator, scene: Scene) -> list[Said]:
    """Describe a scene as people might: with parts missing or in another order, and sometimes not at all."""
    if rng.random() < NO_CAPTION:
        return []
    things = [scene.things[number] for number in rng.permutation(len(scene.things))]
    between = Said(str(rng.choice(["and", "with", ","], p=[0.8, 0.1, 0.1])), None)
    words = _draw_phrase(rng, things[0])
    for thing in things[1:]:
        words += [between, *_draw_phrase(rng, thing)]
    if rng.random() < OPENING:
        words = [*(Said(word, None) for word in ("a", "video", "of")), *words]
    if rng.random() < ODD_WORD:
        words.insert(int(rng.integers(len(words) + 1)), Said(UNKNOWN, None))
    return words


def _draw_phrase(rng: np.random.Generator, thing: Thing) -> list[Said]:
    article = [] if rng.random() < NO_ARTICLE else [str(rng.choice(["a", "the"], p=[0.85, 0.15]))]
    colour = [] if rng.random() < NO_COLOUR else [thing.colour]
    motion = [] if rng.random() < NO_MOTION else ["moving", thing.direction]
    named = [*article, *colour, thing.shape]
    words = motion + named if rng.random() < MOTION_FIRST else named + motion
    return [Said(word, thing) for word in words]
