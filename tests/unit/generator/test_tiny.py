import json
import multiprocessing

import pytest
import torch
from diffusers import WanPipeline

from generator import tiny
from generator.errors import ModelError
from generator.tiny.build import TRANSFORMER, build, build_tokenizer


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "attnwatch"


def weights(pipe):
    return {
        f"{part}.{name}": tensor
        for part in ("text_encoder", "transformer", "vae")
        for name, tensor in getattr(pipe, part).state_dict().items()
    }


def test_it_is_a_complete_wan_pipeline_with_every_component_of_its_own():
    pipe = build()
    assert type(pipe) is WanPipeline
    assert {name for name, component in pipe.components.items() if component is not None} == {
        "tokenizer",
        "text_encoder",
        "vae",
        "transformer",
        "scheduler",
    }
    assert pipe.transformer.config.num_layers == TRANSFORMER["num_layers"]


def test_it_is_the_same_whenever_it_is_built_and_leaves_the_random_state_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = weights(build())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = weights(build())
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_every_text_in_every_script_has_tokens():
    tokenizer = build_tokenizer()
    for text in ("a romantic kiss", "Qwertz 42%", "吻", "नमस्ते", "🙂", "\u0301", "мама"):
        ids = tokenizer(text)["input_ids"]
        assert len(ids) > 1
        assert tokenizer.unk_token_id not in ids
        assert ids[-1] == tokenizer.eos_token_id


def test_it_is_built_once_and_then_found_in_the_cache(cache):
    place = tiny.folder()
    assert place.parent == cache
    assert json.loads((place / "model_index.json").read_text())["_class_name"] == "WanPipeline"
    made = (place / "model_index.json").stat().st_mtime_ns
    assert tiny.folder() == place
    assert (place / "model_index.json").stat().st_mtime_ns == made
    assert list(cache.iterdir()) == [place]


def test_processes_that_build_it_at_the_same_time_do_not_disturb_each_other(cache):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=tiny.folder) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert list(cache.iterdir()) == [tiny.folder()]


def test_a_cache_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path, monkeypatch):
    (tmp_path / "attnwatch").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="Set XDG_CACHE_HOME to a folder that can be written"):
        tiny.folder()


def test_weights_that_are_shipped_win(tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "_SHIPPED", tmp_path)
    assert tiny.folder() == tmp_path
