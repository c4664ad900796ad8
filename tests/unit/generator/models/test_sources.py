import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from generator.errors import ModelError
from generator.models.sources import SAMPLE, Addition, absolute, digest, digests, settled
from generator.settings import ModelSettings


@pytest.mark.parametrize(
    ("text", "source", "weight"),
    [
        ("lora.safetensors", "lora.safetensors", 1.0),
        ("a/b:0.8", "a/b", 0.8),
        ("a/b/c.safetensors:-1", "a/b/c.safetensors", -1.0),
        ("a:b", "a:b", 1.0),
        (":0.5", ":0.5", 1.0),
    ],
)
def test_a_lora_may_have_a_weight(text, source, weight):
    assert Addition.lora(text) == Addition(source, weight)


def test_an_embedding_may_have_a_token_and_its_file_a_colon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Addition.embedding("a/b:<toy>") == Addition("a/b", token="<toy>")
    (tmp_path / "toy:2.pt").touch()
    assert Addition.embedding("toy:2.pt") == Addition("toy:2.pt")
    assert Addition.embedding("toy:2.pt:<toy>") == Addition("toy:2.pt", token="<toy>")


def test_a_file_of_the_hub_is_told_from_its_repository():
    assert Addition("user/name").repository == ("user/name", None)
    assert Addition("user/name/sub/x.safetensors").repository == ("user/name", "sub/x.safetensors")


def test_paths_become_absolute_and_names_on_the_hub_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "tiny").mkdir()
    assert absolute("models") == str(tmp_path / "models")
    assert absolute("models:0.5") == f"{tmp_path / 'models'}:0.5"
    assert absolute("Wan-AI/Wan2.1") == "Wan-AI/Wan2.1"
    assert settled(ModelSettings()).id == "tiny"  # the embedded model, whatever folder is there


@pytest.fixture
def pipeline(tmp_path):
    """A folder like that of a pipeline."""
    folder = tmp_path / "pipeline"
    (folder / "network").mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "X", "network": ["a", "B"], "none": [None]}))
    (folder / "network" / "config.json").write_text("{}")
    generator = torch.Generator().manual_seed(1)
    weights = {name: torch.randn(64, 64, generator=generator) for name in "ab"}
    save_file(weights, folder / "network" / "weights.safetensors")
    return folder


def test_a_copied_or_touched_folder_has_the_same_digest(pipeline, tmp_path):
    before = digest(pipeline)
    shutil.copytree(pipeline, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "README.md").write_text("notes")
    (tmp_path / "elsewhere" / "lora.safetensors").write_bytes(b"no part of the pipeline")
    os.utime(tmp_path / "elsewhere" / "network" / "config.json", (1, 1))
    assert digest(tmp_path / "elsewhere") == before


@pytest.mark.parametrize("place", [0, -1])
def test_another_training_a_configuration_or_a_type_changes_the_digest(pipeline, place):
    before, file = digest(pipeline), pipeline / "network" / "weights.safetensors"
    weights = load_file(file)
    weights["b"].view(-1)[place] += 1
    save_file(weights, file)
    trained = digest(pipeline)
    save_file({name: tensor.view(torch.int32) for name, tensor in weights.items()}, file)
    retyped = digest(pipeline)
    (pipeline / "network" / "config.json").write_text('{"a": 1}')
    assert len({before, trained, retyped, digest(pipeline)}) == 4


def test_only_the_ends_of_large_tensors_are_read(tmp_path):
    file = tmp_path / "large.safetensors"
    tensor = torch.zeros(3 * SAMPLE, dtype=torch.uint8)
    save_file({"a": tensor}, file)
    before = digest(file)
    tensor[SAMPLE + SAMPLE // 2] = 1
    save_file({"a": tensor}, file)
    assert digest(file) == before


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"\x02" + b"\0" * 7 + b"[]", b"\x02" + b"\0" * 7 + b"{]"])
def test_a_damaged_file_has_a_digest_too(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    assert len(digest(tmp_path / "x.safetensors")) == 64


def test_only_what_is_on_this_machine_has_a_digest(pipeline, tmp_path):
    (tmp_path / "toy.pt").write_bytes(b"1")
    settings = ModelSettings(id=str(pipeline), lora=("user/name:2",), embeddings=(f"{tmp_path / 'toy.pt'}:<toy>",))
    assert list(digests(settings)) == [str(pipeline), str(tmp_path / "toy.pt")]
    assert digests(ModelSettings()) == {}


def test_a_folder_with_a_damaged_index_is_refused(tmp_path):
    (tmp_path / "model_index.json").write_text("[")
    with pytest.raises(ModelError, match="is not the index of a pipeline"):
        digest(tmp_path)
