"""Pipelines that stop early, denoise again or change on the way: the video is kept, and the maps say what they lack."""

import json
import math
from dataclasses import dataclass
from functools import wraps

import numpy as np
import pytest

from attnwatch.cli.check import check
from generator.errors import CaptureError
from generator.library import capture
from generator.outputs.video import write_video
from tests.integration.library_support import SIZES, build, call

FAMILIES = "wan", "ltx", "cogvideox", "animatediff"
STEPS = 5
KEPT = {"storage_dtype": "float32"}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def pipe(family):
    return build(family)


@pytest.fixture(scope="module")
def complete(pipe, family):
    """Video and maps of all steps."""
    with capture(pipe, ["kiss"], **KEPT) as maps:
        frames = call(pipe, family, STEPS)
    assert maps.incomplete is None
    assert "incomplete" not in maps.last.recorder.summary()
    return frames, maps["kiss"]


def interrupt(pipe, step, _time, tensors):
    """Stop after the second step, as diffusers' documentation shows."""
    pipe._interrupt = step == 1
    return tensors


@dataclass
class Once:
    """Does something at the end of a denoising step."""

    step: int
    act: object

    def __call__(self, pipe, step, _time, tensors):
        if step == self.step:
            self.act(pipe)
        return tensors


def test_an_interrupted_video_is_returned_with_the_maps_of_its_steps(pipe, family, complete, tmp_path):
    without = call(pipe, family, STEPS, callback_on_step_end=interrupt)
    with capture(pipe, ["kiss"], **KEPT) as maps:
        frames = call(pipe, family, STEPS, callback_on_step_end=interrupt)
    assert np.array_equal(frames, without)
    assert np.array_equal(maps["kiss"], complete[1][:2])
    assert maps.incomplete.startswith(
        "found 2 of 5 denoising steps, because the pipeline was interrupted; expected all"
    )
    manifest = write_video(tmp_path / "videos/prompt_001/video_001.mp4", frames, fps=8, attention=maps)
    document = json.loads(manifest.read_text())
    assert document["generation"]["capture"]["incomplete"] == maps.incomplete
    assert [step["index"] for step in document["denoising"]] == [0, 1]
    assert [problem for _, problems in check(tmp_path) for problem in problems] == []


def attention_modules(pipe):
    network = getattr(pipe, "transformer", None) or pipe.unet
    return [module for module in network.modules() if hasattr(module, "processor")]


def test_a_layer_that_is_skipped_late_ends_only_the_recording(pipe, family, complete):
    def remove_wrappers(pipe):
        for module in attention_modules(pipe):
            vars(module).pop("forward", None)

    with capture(pipe, ["kiss"], **KEPT) as maps:
        frames = call(pipe, family, STEPS, callback_on_step_end=Once(2, remove_wrappers))
    assert np.array_equal(frames, complete[0])
    assert np.array_equal(maps["kiss"], complete[1][:3])
    assert "denoising step 3: expected one call of text attention in each" in maps.incomplete


@pytest.fixture
def overflow():
    """Return a function that lets the queries of a pipeline be no numbers from now on."""
    handles = []

    def begin(pipe):
        for module in attention_modules(pipe):
            hook = module.to_q.register_forward_hook(lambda _module, _inputs, output: output * math.nan)
            handles.append(hook)

    yield begin
    for handle in handles:
        handle.remove()


def test_an_error_in_the_first_steps_is_raised_before_more_are_made(pipe, family, overflow):
    made = []
    overflow(pipe)
    with pytest.raises(CaptureError, match="attention is not a number"), capture(pipe, ["kiss"]):
        call(pipe, family, STEPS, callback_on_step_end=lambda _pipe, step, *_: made.append(step) or {})
    assert made == []


def test_attention_that_is_no_number_late_ends_only_the_recording(pipe, family, complete, overflow):
    with capture(pipe, ["kiss"], **KEPT) as maps:
        frames = call(pipe, family, STEPS, callback_on_step_end=Once(2, overflow))
    assert frames.shape == complete[0].shape
    assert np.array_equal(maps["kiss"], complete[1][:3])
    assert np.isfinite(maps.aggregated("kiss")).all()
    assert "denoising step 3: attention is not a number" in maps.incomplete


def denoising_twice(kind):
    """Return a class of pipelines that denoise again in the same call."""

    class Twice(kind):
        @wraps(kind.__call__)
        def __call__(self, *args, **kwargs):
            super().__call__(*args, **kwargs)
            return super().__call__(*args, **kwargs)

    return Twice


def test_more_steps_than_announced_are_not_mixed_with_the_others(pipe, family, complete):
    twice = denoising_twice(type(pipe))(**pipe.components)
    twice.set_progress_bar_config(disable=True)
    with capture(twice, ["kiss"], **KEPT) as maps:
        frames = call(twice, family, STEPS)
    assert frames.shape == complete[0].shape
    assert np.array_equal(maps["kiss"], complete[1])
    assert "announced 5 denoising steps, and began another one" in maps.incomplete


@pytest.mark.parametrize("fast", [False, True])
def test_the_last_iteration_of_free_init_is_recorded(fast, tmp_path):
    pipe = build("animatediff")
    pipe.enable_free_init(num_iters=3, use_fast_sampling=fast)
    without = call(pipe, "animatediff")
    with capture(pipe, ["kiss"], self_check=True) as maps:
        frames = call(pipe, "animatediff")
    assert np.array_equal(frames, without)
    assert maps.incomplete is None
    assert maps["kiss"].shape == (3, 1, 1, *SIZES["animatediff"][1])
    manifest = write_video(tmp_path / "video_001.mp4", frames, fps=8, attention=maps)
    document = json.loads(manifest.read_text())
    assert document["generation"]["capture"]["passes"] == 3
    assert [step["timestep"] for step in document["denoising"]] == [float(time) for time in pipe.scheduler.timesteps]
