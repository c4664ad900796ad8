"""Tensor files of captured attention: names and shapes of FORMAT.md, and bounded memory."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open

from generator.capture.maps import BRANCHES, Keep, StepMaps
from generator.capture.recorder import Recorder
from generator.outputs import store as store_module
from generator.outputs.describe import StoredStep
from generator.outputs.store import AttentionStore
from generator.prompts.tokens import locate_negative

SCHEDULE = [(1000.0 - step, 1.0 - step / 1000) for step in range(5)]


@pytest.fixture
def recorder(model, sampling, words):
    """An unused recorder of two words in the embedded model."""

    def make(negative=(), **keep):
        tracked = words("a (kiss) and a (dog)")
        tracked += locate_negative("a blurry dog", negative, model.clean, model.tokenise)
        return Recorder(model, tracked, model.grid(sampling), Keep(**keep), prompts={}, on_maps=None)

    return make


@pytest.fixture
def store(tmp_path, recorder):
    return lambda compress=False, **keep: AttentionStore(
        tmp_path / "maps", "vid001", recorder(**keep), "a kiss and a dog", compress=compress
    )


@pytest.fixture
def small_files(monkeypatch):
    """Lower the limit so that three steps exceed a single file."""
    monkeypatch.setattr(store_module, "MOST_IN_ONE_FILE", 2 * step(0).maps.nbytes)


def step(index, branch="cond", denoiser="transformer"):
    maps = torch.arange(2 * 1 * 1 * 2 * 3 * 4, dtype=torch.float16).reshape(2, 1, 1, 2, 3, 4) + index
    return StepMaps(index, denoiser, branch, maps if branch == "cond" else maps + 100)


def read(path):
    with safe_open(path, "np") as file:
        return {name: file.get_tensor(name) for name in list(file.keys())}, file.metadata()


def finish(storing):
    return storing.finish(SCHEDULE, {}).paths


def names(paths, tmp_path):
    return [path.relative_to(tmp_path / "maps").as_posix() for path in paths]


def test_few_steps_share_one_file(store, tmp_path):
    storing = store()
    for index in (0, 2, 4):
        storing.append(step(index))
    (path,) = finish(storing)
    assert path == tmp_path / "maps" / "vid001.safetensors"
    tensors, metadata = read(path)
    assert set(tensors) == {"kiss", "dog"}
    assert np.array_equal(tensors["dog"], np.stack([step(index).maps[1].numpy() for index in (0, 2, 4)]))
    assert json.loads(metadata["steps"]) == [0, 2, 4]
    assert storing.steps == [StoredStep(index, "transformer", "cond") for index in (0, 2, 4)]


def test_many_steps_are_written_one_by_one_to_separate_files(store, tmp_path, small_files):
    storing = store()
    for index in range(4):
        storing.append(step(index))
        expected = [] if index < 2 else [f"step_{number:03}.safetensors" for number in range(index + 1)]
        assert sorted(path.name for path in (tmp_path / "maps").glob("vid001/*")) == expected
    paths = finish(storing)
    assert names(paths, tmp_path) == [f"vid001/step_{index:03}.safetensors" for index in range(4)]
    for index, path in enumerate(paths):
        tensors, metadata = read(path)
        assert np.array_equal(tensors["kiss"], step(index).maps[:1].numpy())
        assert json.loads(metadata["steps"]) == [index]


def test_compressed_files_end_in_zst(store, tmp_path, small_files):
    storing = store(compress=True)
    for index in range(3):
        storing.append(step(index))
    assert names(finish(storing), tmp_path)[-1] == "vid001/step_002.safetensors.zst"


def test_the_mean_of_many_steps_has_a_separate_file(store, tmp_path, small_files, monkeypatch):
    mean = torch.rand(2, 2, 3, 4)
    monkeypatch.setattr(Recorder, "aggregated", lambda recorder, branch: mean)
    storing = store()
    for index in range(3):
        storing.append(step(index))
    paths = finish(storing)
    assert names(paths, tmp_path)[-1] == "vid001/aggregated.safetensors"
    tensors, metadata = read(paths[-1])
    assert np.array_equal(tensors["dog.aggregated"], mean[1].numpy())
    assert metadata["steps"] == "[]"


def test_the_unconditional_branch_has_the_positions_of_the_prompts_words_by_another_name(store):
    storing = store(branches=BRANCHES)
    for index in (0, 1):
        storing.append(step(index, "cond"))
        storing.append(step(index, "uncond"))
    files = storing.finish(SCHEDULE, {})
    tensors, _ = read(files.paths[0])
    assert set(tensors) == {"kiss", "dog", "uncond@kiss", "uncond@dog"}
    assert np.array_equal(tensors["uncond@kiss"], tensors["kiss"] + 100)
    assert {each.branch for each in storing.steps} == {"both"}
    assert ([word["slug"] for word in files.tokens], files.negative_tokens) == (["kiss", "dog"], [])


def test_positions_in_the_unconditional_branch_alone_are_not_words(store):
    storing = store(branches=("uncond",))
    storing.append(step(0, "uncond"))
    files = storing.finish(SCHEDULE, {})
    assert set(read(files.paths[0])[0]) == {"uncond@kiss", "uncond@dog"}
    assert (files.tokens, files.negative_tokens) == ([], [])
    assert storing.steps == [StoredStep(0, "transformer", "uncond")]


def test_a_word_of_the_negative_prompt_takes_the_place_of_the_positions(store):
    storing = store(branches=BRANCHES, negative=("blurry",))
    storing.append(step(0, "cond"))
    storing.append(StepMaps(0, "transformer", "uncond", step(0).maps[:1]))
    files = storing.finish(SCHEDULE, {})
    tensors, metadata = read(files.paths[0])
    assert set(tensors) == {"kiss", "dog", "uncond/blurry"}
    assert [word["slug"] for word in files.tokens] == ["kiss", "dog"]
    (blurry,) = files.negative_tokens
    assert (blurry["slug"], blurry["text"], blurry["span"]) == ("blurry", "blurry", [2, 8])
    assert json.loads(metadata["negative_tokens"]) == files.negative_tokens


def test_a_video_whose_steps_were_all_skipped_has_no_words(store, tmp_path, caplog):
    """As with a cache that never computes both branches of a step."""
    storing = store(branches=BRANCHES, aggregated=False)
    for index, branch in [(0, "cond"), (1, "uncond"), (2, "cond")]:
        storing.append(step(index, branch))
    files = storing.finish(SCHEDULE, {})
    assert (files.paths, files.tokens, files.denoising) == ((), (), [])
    assert list(tmp_path.rglob("*.safetensors")) == []
    assert "the video has no attention map" in caplog.text


def test_a_step_with_a_missing_branch_is_not_stored(store):
    storing = store(branches=BRANCHES)
    for index, branch in [(0, "cond"), (0, "uncond"), (1, "cond"), (2, "uncond"), (2, "cond")]:
        storing.append(step(index, branch))
    assert [each.index for each in storing.steps] == [0, 2]
    assert json.loads(read(finish(storing)[0])[1]["steps"]) == [0, 2]


def test_finish_returns_the_manifest_fields(store):
    storing = store(downsample=2)
    storing.append(step(3))
    files = storing.finish(SCHEDULE, {"seed": 7})
    assert [token["slug"] for token in files.tokens] == ["kiss", "dog"]
    assert files.grid == {"frames": 2, "height": 2, "width": 2, "temporal_stride": 4, "causal_first_frame": True}
    (described,) = files.denoising
    assert described == {"index": 3, "timestep": 997.0, "sigma": 0.997, "model": "transformer", "branch": "cond"}
    assert files.generation["seed"] == 7
    assert files.generation["capture"]["layers"] == 4


def test_discard_removes_all_files(store, tmp_path, small_files):
    storing = store()
    for index in range(3):
        storing.append(step(index))
    storing.discard()
    assert list((tmp_path / "maps").iterdir()) == []


@pytest.mark.parametrize("left", ["vid001.safetensors", "vid001.safetensors.zst", "vid001/step_009.safetensors"])
def test_only_the_files_of_an_earlier_attempt_are_removed(store, tmp_path, left):
    for name in (left, "vid002.safetensors"):
        (tmp_path / "maps" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "maps" / name).touch()
    store()
    assert [path.name for path in (tmp_path / "maps").rglob("*")] == ["vid002.safetensors"]


PROGRAM = """
import resource, sys
from pathlib import Path
from types import SimpleNamespace
import torch
from generator.models.contract import LatentGrid
from generator.capture.maps import Keep, StepMaps
from generator.outputs.store import AttentionStore
from generator.prompts.tokens import locate_negative

grid = LatentGrid(8, 32, 32, 4, True)
recorder = SimpleNamespace(
    keep=Keep(per_head=True), names=lambda branch: ("kiss",), words=(), grid=grid,
    aggregated=lambda branch: torch.zeros(1, 8, 32, 32),
    summary=dict,
)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
store = AttentionStore(Path(sys.argv[1]), "vid001", recorder, "a kiss")
before = peak()
for index in range(30):
    store.append(StepMaps(index, "transformer", "cond", torch.rand(1, 1, 512, 8, 32, 32).half()))
    if index == 9:
        print(peak() - before)
store.finish([(0.0, None)] * 99, {})
print(peak() - before)
"""


def test_memory_does_not_grow_with_the_number_of_steps(tmp_path):
    """Each step has 8 MiB; 64 MiB are held in memory before the first is written."""
    arguments = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=600)
    after_10_steps, after_30_steps = map(int, done.stdout.split())
    assert len(list(tmp_path.rglob("step_*.safetensors"))) == 30
    assert after_30_steps < after_10_steps + 16 * 2**20
    assert after_30_steps < 160 * 2**20
