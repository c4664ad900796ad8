"""The scenes and captions on which the embedded model is trained and evaluated."""

from itertools import combinations, cycle, product

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


def test_training_scenes_never_contain_held_out_combinations(rng):
    shown = [thing for number in range(200) for thing in draw_scene(rng, 1 + number % 2).things]
    assert not any(held_out(thing.colour, thing.shape, thing.direction) for thing in shown)
    assert len({(thing.colour, thing.shape, thing.direction) for thing in shown}) > 70  # of 84


def test_one_combination_in_eight_is_held_out_covering_every_attribute():
    assert len(HELD_OUT) * 8 == len(COLOURS) * len(SHAPES) * len(DIRECTIONS)
    for axis, names in enumerate((COLOURS, SHAPES, DIRECTIONS)):
        assert {one[axis] for one in HELD_OUT} == set(names)


def test_masks_match_the_pixels_that_differ_from_the_background(rng):
    scene = draw_scene(rng, 2)
    video, masks = render(scene)
    empty, _ = render(Scene((), scene.dark, scene.light, scene.angle))
    assert video.shape == (FRAMES, SIZE, SIZE, 3)
    assert masks.shape == (2, FRAMES, SIZE, SIZE)
    different = (video != empty).any(-1)
    assert (different | ~masks.any(0)).all()  # all covered pixels differ
    assert (different ^ masks.any(0)).sum() < 0.2 * masks.sum()  # few others do: edges covered by less than half


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


def test_a_circle_has_the_area_of_its_diameter():
    thing = Thing("red", "circle", "left", 24.0, 40.0, 40.0, 2.0)
    _, (mask,) = render(Scene((thing,), 80, 100, 0.0))
    assert mask[0].sum() == pytest.approx(np.pi * 12**2, rel=0.02)


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param([*zip(COLOURS, cycle(DIRECTIONS), strict=False)], id="each"),
        pytest.param([*product(COLOURS, DIRECTIONS)], id="all", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_objects_are_found_in_a_noisy_video(shape, looks, rng):
    for colour, direction in looks:
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


def test_nothing_is_found_in_an_empty_video():
    video, _ = render(Scene((), 60, 120, 1.0))
    assert truth.look(video) == {}


def test_captions_use_the_whole_vocabulary_and_one_unknown_word(rng):
    captions = [draw_caption(rng, draw_scene(rng, 2)) for _ in range(300)]
    assert {said.word for caption in captions for said in caption} == {*WORDS, UNKNOWN}
    assert 10 < captions.count([]) < 60


def test_each_word_of_a_caption_belongs_to_the_object_that_it_describes(rng):
    scene = place(rng, [("red", "circle", "left"), ("blue", "star", "up")])
    for _ in range(100):
        caption = draw_caption(rng, scene)
        for said in caption:
            own = said.thing and {said.thing.colour, said.thing.shape, said.thing.direction, "a", "the", "moving"}
            assert said.word in (own or {"and", "with", ",", "a", "video", "of", UNKNOWN})


def test_a_prompt_is_its_template_without_parentheses(rng):
    scene = place(rng, [("red", "circle", "left"), ("blue", "star", "up")])
    assert track(scene.things) == "a (red) (circle) moving left and a (blue) (star) moving up"
    assert describe(scene.things) == "a red circle moving left and a blue star moving up"


def test_the_vocabulary_contains_every_attribute_once():
    assert {*COLOURS, *SHAPES, *DIRECTIONS} <= set(WORDS)
    assert all(first != second for first, second in combinations(WORDS, 2))
