"""The quick evaluation of the embedded model, with maps read by the watcher's own reader.

Measures that the model card marks as ok must reach their bars here too; the others must stay close to the card.
Maps are means over all layers, heads and steps.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

import attnwatch
from generator.models import tiny
from generator.tiny import evaluate
from generator.tiny.evaluate import BARS, QUICK, SEED, Comparison, of_noised_clip, of_one_object, scenes_of_two
from generator.tiny.probe import Probe
from generator.tiny.records import generate, read
from generator.tiny.shapes import HELD_OUT
from tests.integration.generator_support import run_forked

TOLERANCE = 0.15
"""Accepted difference between a mean over fewer clips and that of the whole evaluation."""


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """One video of each held-out combination, generated and rendered by the two programs."""
    folder = tmp_path_factory.mktemp("videos")
    prompts = [f"a ({colour}) ({shape}) moving {direction}" for colour, shape, direction in HELD_OUT]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("generator.tiny.records._run", run_forked)
        generate(folder, prompts, model="tiny", seed=SEED, videos=1)
    videos = attnwatch.open(folder).values()
    return [
        replace(record, maps={word: video.attention(word) for word in record.maps})
        for record, video in zip(read(folder), videos, strict=True)
    ]


@pytest.fixture(scope="module")
def clips():
    """Half-noised scenes of two objects, each denoised once by the transformer."""
    torch.set_num_threads(1)
    probe = Probe.of(tiny.FOLDER)
    return [probe.show(scene, seed) for seed, scene in enumerate(scenes_of_two(QUICK.clips))]


def broken(records, change):
    return [replace(record, maps={word: change(maps) for word, maps in record.maps.items()}) for record in records]


def missed(found):
    return set(Comparison(found, {}).missed)


def worsened(found):
    """Measures that are worse than in the card: below a bar that the card reaches, or far below the card's value."""
    lines = (tiny.FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith(("| one", "| two"))]
    assert {row[0] for row in rows} == set(BARS)
    least = {
        name: BARS[name] if verdict == "ok" else float(measured) - TOLERANCE for name, _, measured, verdict, _ in rows
    }
    return {name: value for name, value in found.items() if value < least[name]}


def test_videos_match_their_prompts_and_each_word_attends_to_its_object(records):
    assert worsened(evaluate.means(map(of_one_object, records))) == {}


def test_of_two_objects_each_word_attends_to_its_own(clips):
    assert worsened(evaluate.means(map(of_noised_clip, clips))) == {}


def test_swapped_height_and_width_are_detected(records):
    found = evaluate.means(map(of_one_object, broken(records, lambda maps: maps.transpose(0, 2, 1))))
    assert "one object: colour word points at it" in missed(found)


@pytest.mark.parametrize("by", [1, -1])
def test_maps_shifted_by_one_latent_frame_are_detected(records, by):
    found = evaluate.means(map(of_one_object, broken(records, lambda maps: np.roll(maps, by, 0))))
    assert "one object: colour word on time over off time" in missed(found)


def test_swapped_word_positions_are_detected(clips):
    swapped = [replace(clip, maps=dict(zip(clip.maps, reversed(clip.maps.values()), strict=True))) for clip in clips]
    found = evaluate.means(map(of_noised_clip, swapped))
    assert worsened(found).keys() == found.keys()
