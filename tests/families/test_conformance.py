"""Every supported pipeline, saved and loaded, is recorded exactly, at the right tokens, and not changed by it."""

import functools

import numpy as np
import pytest
import torch

from generator.capture import placement, steps
from generator.errors import CaptureError
from generator.library import capture
from generator.models.load import adapt
from generator.models.registry import FAMILIES
from tests.families.cases import CASES
from tests.families.conformance import OTHER, WORD, Probe

QUICK = {
    "WanVideoToVideoPipeline",
    "WanVACEPipeline with a reference",
    "LTXConditionPipeline with a keyframe",
    "HunyuanVideoImageToVideoPipeline",
    "Cosmos2VideoToWorldPipeline",
    "Kandinsky5T2VPipeline",
    "SanaVideoPipeline",
    "AllegroPipeline",
    "LattePipeline",
    "EasyAnimatePipeline",
    "AnimateDiffPAGPipeline",
    "TextToVideoSDPipeline",
}
"""One case for each mechanism; the others are slow together."""
GUARD = ("safety_checker",)
"""Parts that are programs of their own, and are given when a pipeline is loaded."""
pytestmark = [
    pytest.mark.filterwarnings("ignore:In CPU autocast:UserWarning"),
    pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def probe_of(tmp_path_factory):
    torch.set_num_threads(1)

    @functools.cache
    def built(name):
        case = CASES[name]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            pipe = case.build()
        folder = tmp_path_factory.mktemp("conformance")
        guard = {name: pipe.components[name] for name in GUARD if name in pipe.components}
        pipe.register_modules(**dict.fromkeys(guard))
        pipe.save_pretrained(folder)
        loaded = type(pipe).from_pretrained(folder, local_files_only=True, **guard)
        loaded.set_progress_bar_config(disable=True)
        return Probe(case, loaded)

    return built


@pytest.fixture(params=[name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES])
def probe(request, probe_of):
    return probe_of(request.param)


def test_every_supported_pipeline_has_a_case():
    assert {name.partition(" ")[0] for name in CASES} == set(FAMILIES)


def test_both_branches_are_recorded_exactly_at_the_right_tokens_and_the_video_is_the_same(probe):
    case = probe.case
    without, samples, latents = probe.plain()
    assert list(samples) == list(probe.layers)
    assert len(samples) == case.layers
    for branch, word in (("cond", WORD), ("uncond", OTHER)):
        if branch not in case.order:
            continue
        frames, maps = probe.captured(branch)
        assert np.array_equal(without, frames)
        columns = probe.columns(word, branch, samples)
        expected = torch.stack([probe.expected(layer, branch, columns) for layer in samples.values()], 1)
        (name,) = maps.names
        found = torch.from_numpy(maps[name])
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= 1e-6
        assert expected.std() > 1e-7
        summary = maps.last.recorder.summary()
        assert summary["branch_source"] == case.source
        assert 0 <= summary["marking"][branch] < 0.9
        assert summary["self_check"]["max_abs_error"] <= 1e-6
        assert len(maps.last.schedule) == len(found)
    model, grid = adapt(probe.pipe), case.grid
    assert maps.last.recorder.grid == grid
    assert case.latents_only or len(without) == (case.video_frames or frames_of(grid))
    assert set(latents) >= {grid.height * model._strides.patch, grid.width * model._strides.patch}


def frames_of(grid):
    whole = grid.frames * grid.temporal_stride
    return whole - grid.temporal_stride + 1 if grid.causal_first_frame else whole


def test_a_shift_by_one_token_is_refused_before_denoising(probe, monkeypatch):
    keys, denoised = placement.BranchText.keys, []
    monkeypatch.setattr(type(probe.pipe.scheduler), "step", lambda *args, **kwargs: denoised.append(1))
    for shift in (1, -1):
        shifted = functools.partialmethod(moved, keys, shift)
        monkeypatch.setattr(placement.BranchText, "keys", shifted)
        with pytest.raises(CaptureError, match="expected these to change most"), capture(probe.pipe, [WORD]):
            probe.case.call(probe.pipe)
    assert denoised == []


def moved(text, keys, shift, positions):
    return tuple(place + shift for place in keys(text, positions))


def test_a_skipped_layer_is_refused_in_the_first_step(probe, monkeypatch):
    layer = adapt(probe.pipe).text_attention()[-1]
    joint = adapt(probe.pipe).text_place.value != "apart"

    def skipped(hidden_states, *args, encoder_hidden_states=None, **kwargs):
        return (hidden_states, encoder_hidden_states) if joint else hidden_states

    monkeypatch.setattr(layer.module, "forward", skipped)
    refused = pytest.raises(CaptureError, match=rf"{layer.name} \(0 times\)")
    with refused, capture(probe.pipe, [WORD]):
        probe.case.call(probe.pipe)


def test_more_steps_than_announced_are_refused_early(probe, monkeypatch):
    monkeypatch.setattr(steps.Steps, "announced", 1)
    refused = pytest.raises(CaptureError, match="announced 1 denoising steps, and began another one")
    with refused, capture(probe.pipe, [WORD]):
        probe.case.call(probe.pipe)
