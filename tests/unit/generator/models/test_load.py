"""Loading pipelines, and the answers of a Wan pipeline with random weights."""

import http.server
import json
import threading
from dataclasses import replace
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from huggingface_hub import constants

from generator.errors import ModelError
from generator.models import load as models
from generator.models import tiny
from generator.models.contract import LatentGrid
from generator.models.families.wan import WanModel
from generator.settings import ModelSettings, Sampling


@pytest.fixture(autouse=True)
def _random_weights(monkeypatch, random_weights):
    monkeypatch.setattr(tiny, "FOLDER", random_weights)


def test_a_pipeline_that_was_loaded_from_a_path_object_is_named_by_its_text(random_weights):
    """Manifests hold the name, and JSON has no paths."""
    pipe = diffusers.WanPipeline.from_pretrained(Path(random_weights))
    assert isinstance(pipe.name_or_path, Path)
    assert models.adapt(pipe).name == str(random_weights)


def test_a_local_folder_is_loaded_like_the_embedded_model(model, sampling, random_weights):
    loaded = models.load(ModelSettings(id=str(random_weights), device="cpu"))
    assert (loaded.name, loaded.revision) == (str(random_weights), None)
    assert loaded.recommended == Sampling(832, 480, 81, 16.0, 50, 5.0)
    frames = [each.generate("a kiss", sampling, 1, lambda done, total: None) for each in (model, loaded)]
    assert np.array_equal(*frames)


def test_the_embedded_model_reports_its_version(model):
    assert model.revision == tiny.revision()
    assert (model.name, model.device, model.dtype) == ("tiny", "cpu", "float32")


@pytest.mark.parametrize(("asked", "threads"), [(None, 1), ("2", 2)])
def test_the_embedded_model_computes_in_one_thread_unless_the_environment_asks_for_more(monkeypatch, asked, threads):
    """Its operations are so short that on a busy machine they would all wait for the slowest thread."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if asked is not None:
            monkeypatch.setenv("OMP_NUM_THREADS", asked)
        models.load(ModelSettings(device="cpu"))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_a_half_precision_model_keeps_its_vae_in_float32(model, sampling, words):
    half = models.load(ModelSettings(device="cpu", dtype="bfloat16"))
    assert half.dtype == "bfloat16"
    assert str(half.pipe.vae.dtype) == "torch.float32"
    assert half.generate("a kiss", sampling, 1, lambda done, total: None).shape == (5, 48, 64, 3)


def test_a_pipeline_of_an_unknown_family_is_refused_before_loading(tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "HeliosPipeline"}))
    with pytest.raises(ModelError, match=r"found a HeliosPipeline, .* Expected one of AllegroPipeline, .* WanPipeline"):
        models.load(ModelSettings(id=str(tmp_path)))


def test_a_model_that_has_no_outline_is_left_to_the_run(tmp_path):
    index = {"_class_name": "WanPipeline", "transformer": ["my_library", "MyTransformer"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    assert models.load_outline(ModelSettings(id=str(tmp_path))) is None


def test_a_folder_without_a_pipeline_is_refused(tmp_path):
    with pytest.raises(
        ModelError, match=r"found no pipeline there .* Expected `tiny`, a folder with a model_index.json"
    ):
        models.load(ModelSettings(id=str(tmp_path)))


@pytest.fixture
def hub(monkeypatch):
    """Return a function that sets the hub's address."""

    def at(address):
        monkeypatch.setattr(constants, "ENDPOINT", address)

    return at


@pytest.fixture
def requests_of_the_library(monkeypatch):
    """Record with which arguments diffusers is asked for a model's index."""
    asked = []

    def load_config(source, **named):
        asked.append((source, named["local_files_only"]))
        raise OSError("no such model")

    monkeypatch.setattr(diffusers.DiffusionPipeline, "load_config", load_config)
    return asked


def test_without_a_network_only_downloaded_models_are_looked_for(hub, requests_of_the_library, caplog):
    hub("http://127.0.0.1:9")  # the discard port: nothing listens
    with pytest.raises(ModelError, match="model someone/nothing: found no pipeline there"):
        models.load(ModelSettings(id="someone/nothing"))
    assert requests_of_the_library == [("someone/nothing", True)]
    assert "http://127.0.0.1:9 cannot be reached" in caplog.text


def test_the_offline_mode_of_the_hub_is_respected_without_a_request(monkeypatch, requests_of_the_library, caplog):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError):
        models.load(ModelSettings(id="someone/nothing"))
    assert requests_of_the_library == [("someone/nothing", True)]
    assert caplog.text == ""


@pytest.mark.parametrize("status", [200, 403])
def test_a_hub_that_answers_is_asked(hub, requests_of_the_library, status):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        hub(f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(ModelError):
            models.load(ModelSettings(id="someone/nothing"))
    assert requests_of_the_library == [("someone/nothing", False)]


def test_a_pipeline_with_missing_parts_is_refused(tmp_path):
    index = {"_class_name": "WanPipeline", "vae": ["diffusers", "AutoencoderKLWan"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="cannot be loaded"):
        models.load(ModelSettings(id=str(tmp_path)))


@pytest.mark.parametrize("device", ["cuda:77", "nonsense"])
def test_a_device_that_does_not_exist_is_refused(device):
    with pytest.raises(ModelError, match=f"device {device} cannot be used"):
        models.load(ModelSettings(device=device))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"width": 100}, "width 100: tiny needs a multiple of 16. Try 96 or 112"),
        ({"height": 2064}, "height 2064: tiny supports at most 2048"),
        ({"frames": 513}, "frames 513: tiny supports at most 509"),
        ({"height": 8}, "height 8: tiny needs a multiple of 16. Try 16 or 32"),
        ({"frames": 16}, r"frames 16: tiny needs 4n \+ 1 frames. Try 13 or 17"),
    ],
)
def test_sizes_and_frames_that_the_pipeline_would_round_or_cannot_make_are_refused(model, change, complaint):
    with pytest.raises(ModelError, match=complaint):
        model.check(replace(model.recommended, **change))


def test_the_recommended_sampling_is_valid(model):
    model.check(model.recommended)
    model.check(Sampling(832, 480, 81, 16.0, 50, 5.0))


def test_the_latent_grid_matches_wan(model):
    assert model.grid(Sampling(832, 480, 81, 16.0, 50, 5.0)) == LatentGrid(21, 30, 52, 4, causal_first_frame=True)


def test_the_schedule_has_a_timestep_and_a_sigma_for_each_step(model, sampling):
    model.generate("a kiss", replace(sampling, steps=4), 1, lambda done, total: None)
    timesteps, sigmas = zip(*model.schedule(), strict=True)
    assert len(timesteps) == 4
    assert list(timesteps) == sorted(timesteps, reverse=True)
    assert sigmas == pytest.approx([timestep / 1000 for timestep in timesteps], abs=2e-3)


def test_steps_are_reported_one_by_one(model, sampling):
    seen = []
    model.generate("a kiss", replace(sampling, steps=3), 1, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_generate_returns_what_the_pipeline_returns_for_the_same_arguments(model, sampling):
    sampling = replace(sampling, negative_prompt="dark", guidance_scale=3.0)
    expected = model.pipe(
        prompt="a kiss",
        negative_prompt="dark",
        width=64,
        height=48,
        num_frames=5,
        num_inference_steps=2,
        guidance_scale=3.0,
        generator=torch.Generator("cpu").manual_seed(7),
    ).frames[0]
    assert np.array_equal(model.generate("a kiss", sampling, 7, lambda done, total: None), expected)


def test_the_same_seed_makes_the_same_video(model, sampling):
    one, again, other = (model.generate("a kiss", sampling, seed, lambda done, total: None) for seed in (5, 5, 6))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_a_tokenizer_without_character_offsets_is_refused(model, monkeypatch):
    class Slow:
        is_fast = False

    with pytest.raises(ModelError, match="tokenizer, Slow, does not report the character offsets"):
        WanModel(type("Pipe", (), {"tokenizer": Slow(), "config": {}})(), "some/model")
