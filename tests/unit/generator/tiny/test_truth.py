"""The measures of attention maps: perfect maps pass, and every kind of error is detected."""

import numpy as np
import pytest

from generator.models.tiny import FRAMES
from generator.tiny import evaluate, truth
from generator.tiny.captions import describe
from generator.tiny.evaluate import BARS, Comparison, of_noised_clip, of_one_object, of_two_objects, scenes_of_two
from generator.tiny.probe import Probed
from generator.tiny.records import Record
from generator.tiny.shapes import HELD_OUT, place, render

GRID = (5, 10, 10)


def perfect(masks, things):
    """Maps of a model whose words attend exactly to their objects."""
    return {
        word: truth.share(mask, GRID) + 0.01
        for thing, mask in zip(things, masks, strict=True)
        for word in (thing.colour, thing.shape)
    }


def one_object(number, change=lambda maps: maps):
    scene = place(np.random.default_rng(number), [HELD_OUT[number]])
    video, masks = render(scene)
    maps = {word: change(found) for word, found in perfect(masks, scene.things).items()}
    heat = dict.fromkeys(maps, masks[0].astype(np.float32))
    return Record(describe(scene.things), video, maps, heat)


def measured(change):
    return evaluate.means(of_one_object(one_object(number, change)) for number in range(len(HELD_OUT)))


def missed(found):
    return {name for name, value in found.items() if value < BARS[name]}


def test_perfect_maps_reach_every_bar():
    found = measured(lambda maps: maps)
    clips = [(scene, *render(scene)) for scene in scenes_of_two(6)]
    found |= evaluate.means(
        of_noised_clip(Probed(scene, masks, perfect(masks, scene.things))) for scene, _, masks in clips
    )
    found |= evaluate.means(
        of_two_objects(Record(describe(scene.things), video, perfect(masks, scene.things), {}))
        for scene, video, masks in clips
    )
    assert found.keys() == BARS.keys()
    assert missed(found) == set()


def test_maps_with_swapped_height_and_width_fail():
    assert "one object: colour word points at it" in missed(measured(lambda maps: maps.transpose(0, 2, 1)))


@pytest.mark.parametrize("by", [1, -1])
def test_maps_a_latent_frame_early_or_late_fail(by):
    assert "one object: colour word on time over off time" in missed(measured(lambda maps: np.roll(maps, by, 0)))


def test_uniform_maps_score_chance():
    found = measured(np.ones_like)
    assert found["one object: density of the colour word"] == pytest.approx(1)
    assert found["one object: colour word points at it"] < 0.5


def test_maps_of_swapped_words_fail():
    scene = next(scenes_of_two(1))
    _, masks = render(scene)
    found = of_noised_clip(Probed(scene, masks, perfect(masks[::-1], scene.things)))
    assert missed(found) == {
        "two objects, noised clips: colour word on its own",
        "two objects, noised clips: shape word on its own",
    }


def test_the_table_lists_each_measure_with_its_bar_and_the_value_for_random_weights():
    found, random = dict(BARS), dict.fromkeys(BARS, 0.123)
    found["one object: shape right"] = 0.5
    del found["two objects: fully correct"], random["one object: motion right"]
    comparison = Comparison(found, random)
    assert comparison.missed == ["one object: shape right"]
    table = comparison.table()
    assert "| one object: shape right | 0.85 | 0.50 | below | 0.12 |" in table
    assert "| one object: motion right | 0.95 | 0.95 | ok | - |" in table
    assert "fully correct" not in table


def test_a_video_without_an_object_scores_zero_in_every_measure_that_applies():
    record = one_object(0)
    empty = np.full_like(record.video, 90)
    found = of_one_object(Record(record.prompt, empty, record.maps, record.heat))
    assert set(found.values()) == {0.0}
    assert "one object: density of the colour word" not in found


def test_the_covered_share_of_a_cell_respects_the_causal_first_frame():
    mask = np.zeros((FRAMES, 80, 80), bool)
    mask[0, :8, :8] = True  # latent frame 0 is video frame 0
    mask[1:3, 8:16, 8:16] = True  # two of the four video frames of latent frame 1
    covered = truth.share(mask, GRID)
    assert covered[0, 0, 0] == 1
    assert covered[1, 1, 1] == 0.5
    assert covered.sum() == 1.5
