"""The scenes that the embedded model is trained and judged on, and what is said about them."""

from itertools import combinations, product

import numpy as np
import pytest

from generator.models.tiny import FRAMES, SIZE
from generator.tiny import truth
from generator.tiny.captions import UNKNOWN, WORDS, describe, draw_caption, track
from generator.tiny.shapes import (
    COLOURS,
    DIRECTIONS,
    HELD_OUT,
    SHAPES,
    Scene,
    Thing,
    draw_scene,
    held_out,
    place,
    render,
)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def test_training_never_shows_what_is_held_out(rng):
    shown = [thing for number in range(200) for thing in draw_scene(rng, 1 + number % 2).things]
    assert not any(held_out(thing.colour, thing.shape, thing.direction) for thing in shown)
    assert len({(thing.colour, thing.shape, thing.direction) for thing in shown}) > 70  # of 84


def test_held_out_is_one_in_eight_and_every_colour_shape_and_direction_is_among_it():
    assert len(HELD_OUT) * 8 == len(COLOURS) * len(SHAPES) * len(DIRECTIONS)
    for axis, names in enumerate((COLOURS, SHAPES, DIRECTIONS)):
        assert {one[axis] for one in HELD_OUT} == set(names)


def test_a_mask_is_where_the_picture_differs_from_the_background(rng):
    scene = draw_scene(rng, 2)
    video, masks = render(scene)
    empty, _ = render(Scene((), scene.dark, scene.light, scene.angle))
    assert video.shape == (FRAMES, SIZE, SIZE, 3)
    assert masks.shape == (2, FRAMES, SIZE, SIZE)
    different = (video != empty).any(-1)
    assert (different | ~masks.any(0)).all()  # what is covered differs
    assert (different ^ masks.any(0)).sum() < 0.2 * masks.sum()  # and little else does: half-covered edges


def test_objects_stay_inside_the_picture_and_never_touch(rng):
    for _ in range(50):
        scene = draw_scene(rng, 2)
        first, second = (thing.centres(FRAMES) for thing in scene.things)
        for thing, centres in zip(scene.things, (first, second), strict=True):
            assert centres.min() >= thing.radius - 1e-6
            assert centres.max() <= SIZE - thing.radius + 1e-6
        distance = np.linalg.norm(first - second, axis=1).min()
        assert distance > sum(thing.radius for thing in scene.things)


def test_a_picture_that_is_too_small_is_refused(rng):
    with pytest.raises(ValueError, match="found no room for 1 objects in 32 x 32 pixels"):
        draw_scene(rng, 1, size=32)


def test_a_shape_is_drawn_as_large_as_its_area_says():
    thing = Thing("red", "circle", "left", 24.0, 40.0, 40.0, 2.0)
    _, (mask,) = render(Scene((thing,), 80, 100, 0.0))
    assert mask[0].sum() == pytest.approx(np.pi * 12**2, rel=0.02)


@pytest.mark.parametrize("shape", SHAPES)
def test_looking_at_a_noisy_video_finds_what_was_drawn(shape, rng):
    for colour, direction in product(COLOURS, DIRECTIONS):
        scene = place(rng, [(colour, shape, direction)])
        video, (mask,) = render(scene)
        noisy = np.clip(video + rng.normal(0, 10, video.shape), 0, 255).astype(np.uint8)
        (seen,) = truth.look(noisy).values()
        assert (seen.colour, seen.shape, seen.direction) == (colour, shape, direction)
        assert (seen.mask & mask).sum() > 0.9 * (seen.mask | mask).sum()


def test_two_objects_of_one_colour_have_no_shape(rng):
    scene = place(rng, [("red", "circle", "left"), ("red", "circle", "right")])
    (seen,) = truth.look(render(scene)[0]).values()
    assert seen.shape == ""


def test_looking_at_an_empty_video_finds_nothing():
    video, _ = render(Scene((), 60, 120, 1.0))
    assert truth.look(video) == {}


def test_captions_say_every_word_of_the_vocabulary_and_one_that_is_not_in_it(rng):
    captions = [draw_caption(rng, draw_scene(rng, 2)) for _ in range(300)]
    assert {said.word for caption in captions for said in caption} == {*WORDS, UNKNOWN}
    assert 10 < captions.count([]) < 60


def test_a_caption_knows_what_each_word_is_said_of(rng):
    scene = place(rng, [("red", "circle", "left"), ("blue", "star", "up")])
    for _ in range(100):
        caption = draw_caption(rng, scene)
        for said in caption:
            own = said.thing and {said.thing.colour, said.thing.shape, said.thing.direction, "a", "the", "moving"}
            assert said.word in (own or {"and", "with", ",", "a", "video", "of", UNKNOWN})


def test_a_prompt_is_its_template_without_brackets(rng):
    scene = place(rng, [("red", "circle", "left"), ("blue", "star", "up")])
    assert track(scene.things) == "a (red) (circle) moving left and a (blue) (star) moving up"
    assert describe(scene.things) == "a red circle moving left and a blue star moving up"


def test_every_word_of_the_world_is_a_word_of_the_vocabulary():
    assert {*COLOURS, *SHAPES, *DIRECTIONS} <= set(WORDS)
    assert all(first != second for first, second in combinations(WORDS, 2))
