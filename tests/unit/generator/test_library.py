"""`capture` records attention of pipeline calls in a user's script."""

import json

import numpy as np
import pytest
import torch

from attnwatch.cli.check import check
from generator.capture.maps import Keep
from generator.capture.recorder import capture as recording
from generator.errors import CaptureError, ModelError, SettingsError, TokenError, UsageError
from generator.library import capture
from generator.outputs.video import write_video

CALL = {"width": 64, "height": 48, "num_frames": 5, "num_inference_steps": 2, "guidance_scale": 4.0}


def call(model, prompt="a kiss and a dog", **arguments):
    generator = torch.Generator("cpu").manual_seed(1)
    return model.pipe(**{"prompt": prompt, **CALL, "generator": generator, **arguments}).frames[0]


def test_capture_returns_the_generators_maps_and_leaves_the_video_unchanged(model, sampling, words):
    tracked = words("a (kiss) and a (dog)")
    without = call(model)
    with recording(model, tracked, model.grid(sampling), Keep()) as recorder:
        model.generate("a kiss and a dog", sampling, 1, lambda done, total: None)
    with capture(model.pipe, words=["dog", "kiss"]) as maps:
        during = call(model)
    assert np.array_equal(without, during)
    assert np.array_equal(without, call(model))
    assert maps.names == ("kiss", "dog")
    for place, name in enumerate(maps.names):
        assert np.array_equal(maps[name], np.stack([step.maps[place].numpy() for step in recorder.steps]))
        assert np.array_equal(maps.aggregated(name), recorder.aggregated()[place].numpy())


def test_recorded_maps_can_be_written_as_a_batch(model, tmp_path):
    with capture(model.pipe, words=["kiss"]) as maps:
        frames = call(model, negative_prompt="dark", guidance_scale=3.0)
    manifest = write_video(tmp_path / "videos/prompt_001/video_001.mp4", frames, fps=8, attention=maps)
    assert [problem for _, problems in check(tmp_path) for problem in problems] == []
    document = json.loads(manifest.read_text())
    made = document["generation"]
    assert {key: made[key] for key in ("prompt", "negative_prompt", "seed", "steps", "fps", "guidance_scale")} == {
        "prompt": "a kiss and a dog",
        "negative_prompt": "dark",
        "seed": 1,
        "steps": 2,
        "fps": 8,
        "guidance_scale": 3.0,
    }
    assert made["capture"]["calls"] == made["capture"]["expected_calls"] == 8
    assert [step["index"] for step in document["denoising"]] == [0, 1]
    assert document["tokens"][0]["positions"] == [1]


def test_settings_have_the_names_of_the_configuration_file(model):
    with capture(model.pipe, ["kiss"], store_per_head=True, branch="both", storage_dtype="float32") as maps:
        call(model)
    assert maps.names == ("kiss", "uncond@kiss")
    assert maps["uncond@kiss"].shape == (2, 1, 4, 2, 3, 4)
    assert maps["kiss"].dtype == np.float32
    assert not np.array_equal(maps["kiss"], maps["uncond@kiss"])


def test_each_call_in_a_loop_is_recorded_and_the_maps_are_those_of_the_last(model, tmp_path):
    with capture(model.pipe, ["kiss"]) as maps:
        for number in (1, 2):
            frames = call(model, "a kiss " + "and a kiss" * (number - 1))
            write_video(tmp_path / f"video_{number:03}.mp4", frames, fps=8, attention=maps)
    assert maps.names == ("kiss", "kiss_2")
    tokens = [json.loads(path.read_text())["tokens"] for path in sorted(tmp_path.glob("*.complete.json"))]
    assert list(map(len, tokens)) == [1, 2]


def test_only_the_mean_is_available_if_steps_are_not_stored(model):
    with capture(model.pipe, ["kiss"], store_attention=False) as maps:
        call(model)
    assert maps.aggregated("kiss").shape == (2, 3, 4)
    with pytest.raises(KeyError, match="single steps were not stored"):
        maps["kiss"]


def test_the_pipeline_is_restored_even_after_an_exception(model):
    before = type(model.pipe).__call__
    with pytest.raises(TokenError), capture(model.pipe, ["kiss"]):
        call(model, "dog " * 512 + "kiss")
    assert type(model.pipe).__call__ is before


def test_another_pipeline_of_the_same_class_is_not_recorded(model):
    other = type(model.pipe)(**model.pipe.components)
    other.set_progress_bar_config(disable=True)
    with pytest.raises(CaptureError, match="was not called inside"), capture(model.pipe, ["kiss"]):
        other(prompt="a dog", **CALL)


def test_an_unknown_map_is_refused_with_the_nearest_name(model):
    with capture(model.pipe, ["kiss"]) as maps:
        call(model)
    with pytest.raises(KeyError, match=r"kis: unknown map. Did you mean `kiss`\?"):
        maps["kis"]


def test_maps_are_unavailable_before_the_first_call(model, tmp_path):
    with capture(model.pipe, ["kiss"]) as maps:
        with pytest.raises(CaptureError, match="nothing was recorded yet"):
            maps["kiss"]
        call(model)


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        ({"prompt": "a dog"}, UsageError, "words: found no 'kiss' in the prompt 'a dog'"),
        ({"prompt": ["a kiss", 3]}, UsageError, "prompt: found .*; expected a text, or a list of texts"),
        ({"width": 100}, ModelError, "width 100"),
        ({"max_sequence_length": 100}, UsageError, "max_sequence_length: found 100; expected 512"),
        ({"prompt": "dog " * 512 + "kiss"}, TokenError, "it is cut off"),
    ],
)
def test_a_call_that_cannot_be_recorded_is_refused_before_it_starts(model, arguments, error, complaint):
    with pytest.raises(error, match=complaint), capture(model.pipe, ["kiss"]):
        call(model, **arguments)


def test_unknown_settings_and_pipelines_are_refused(model):
    with pytest.raises(SettingsError, match=r"store_perhead: unknown setting. Did you mean `store_per_head`"):
        capture(model.pipe, ["kiss"], store_perhead=True).__enter__()
    with pytest.raises(SettingsError, match="branch: found 'all'; expected 'cond'"):
        capture(model.pipe, ["kiss"], branch="all").__enter__()

    class UnknownPipeline:
        pass

    with pytest.raises(ModelError, match=r"found a UnknownPipeline, .* Expected one of .*WanPipeline"):
        capture(UnknownPipeline(), ["kiss"]).__enter__()


def test_a_users_subclass_of_a_known_pipeline_is_recorded(model):
    class MyPipeline(type(model.pipe)):
        pass

    pipe = MyPipeline(**model.pipe.components)
    pipe.set_progress_bar_config(disable=True)
    with capture(pipe, ["kiss"]) as maps:
        pipe(prompt="a kiss", **CALL)
    assert maps["kiss"].shape == (2, 1, 1, 2, 3, 4)
    assert "__call__" not in vars(MyPipeline)
