"""Capture of calls that make several videos at once, and of several calls in one block."""

import numpy as np
import pytest
import torch

from generator.errors import UsageError
from generator.library import capture
from tests.integration.library_support import SIZES, build, call

# Mochi raises this warning on every CPU.
pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast:UserWarning")

PROMPTS = ["a romantic kiss", "a dog and a kiss in the rain"]


def seeded(count):
    return [torch.Generator().manual_seed(1 + number) for number in range(count)]


@pytest.mark.parametrize("family", ["wan", "cogvideox", "mochi", "animatediff"])
def test_each_video_of_a_list_of_prompts_has_the_maps_that_it_has_alone(family):
    pipe = build(family)
    with capture(pipe, ["kiss", "rain"], storage_dtype="float32", self_check=True) as maps:
        call(pipe, family, prompt=PROMPTS, generator=seeded(2))
    assert [video.names for video in maps.videos] == [("kiss",), ("kiss", "rain")]
    for prompt, together, seed in zip(PROMPTS, maps.videos, (1, 2), strict=True):
        with capture(pipe, ["kiss"], storage_dtype="float32") as alone:
            call(pipe, family, prompt=prompt, generator=torch.Generator().manual_seed(seed))
        assert np.abs(together["kiss"] - alone["kiss"]).max() < 1e-4
        assert together.last.recorder.summary()["self_check"]["max_abs_error"] < 1e-6
        assert together.last.described["seed"] == seed
    assert np.abs(maps.videos[0]["kiss"] - maps.videos[1]["kiss"]).max() > 1e-4
    with pytest.raises(UsageError, match="found 2 videos of the last call"):
        maps["kiss"]


@pytest.mark.parametrize("family", ["ltx", "hunyuan"])
def test_several_videos_of_a_prompt_are_recorded_and_stay_the_same(family):
    pipe = build(family)
    given = {"num_videos_per_prompt": 2, "output_type": "latent"}
    without = call(pipe, family, generator=torch.Generator().manual_seed(1), **given)
    with capture(pipe, ["kiss"], self_check=True) as maps:
        during = call(pipe, family, generator=torch.Generator().manual_seed(1), **given)
    assert torch.equal(without, during)
    first, second = maps.videos
    assert first["kiss"].shape == second["kiss"].shape == (3, 1, 1, *SIZES[family][1])
    assert not np.array_equal(first["kiss"], second["kiss"])
    assert all(video.last.recorder.summary()["self_check"]["max_abs_error"] < 1e-6 for video in maps.videos)


def test_a_pipeline_that_makes_one_video_per_prompt_whatever_it_is_told_is_recorded_as_it_is():
    pipe = build("cogvideox")
    with capture(pipe, ["kiss"]) as maps:
        call(pipe, "cogvideox", num_videos_per_prompt=2, output_type="latent")
    assert len(maps.videos) == 1


def test_the_videos_of_several_calls_are_kept_by_number_until_they_are_cleared():
    pipe = build("wan")
    with capture(pipe, ["kiss"]) as maps:
        call(pipe, "wan")
        first = maps["kiss"]
        call(pipe, "wan", prompt="a dog and a kiss")
        assert len(maps.videos) == 2
        assert np.array_equal(maps.videos[0]["kiss"], first)
        assert np.array_equal(maps.videos[1]["kiss"], maps["kiss"])
        assert not np.array_equal(maps["kiss"], first)
        maps.clear()
        assert maps.videos == ()


def test_embeddings_may_come_with_the_positions_of_words():
    pipe = build("wan")
    embeddings, negative = pipe.encode_prompt("a romantic kiss", "", max_sequence_length=512)
    with capture(pipe, ["kiss"], storage_dtype="float32") as right:
        call(pipe, "wan", negative_prompt="")
    (word,) = right.last.recorder.words
    with capture(pipe, words_at={"kiss": word.positions}, storage_dtype="float32") as maps:
        call(pipe, "wan", prompt=None, prompt_embeds=embeddings, negative_prompt_embeds=negative)
    assert np.abs(maps["kiss"] - right["kiss"]).max() < 1e-6


def test_a_word_that_is_in_none_of_the_prompts_is_refused_and_a_prompt_without_any():
    pipe = build("wan")
    absent = pytest.raises(UsageError, match="found no 'hug' in the prompt 'a romantic kiss' and 1 more")
    with absent, capture(pipe, ["hug"]):
        call(pipe, "wan", prompt=PROMPTS)
    without = pytest.raises(UsageError, match="found none of them in the prompt 'a romantic kiss'")
    with without, capture(pipe, ["rain"]):
        call(pipe, "wan", prompt=PROMPTS)
