"""The embedded model's files and revision, and the pipeline with random weights that replaces it in tests."""

import shutil

import torch
from diffusers import WanPipeline

from generator.models import tiny
from tests.random_wan import TRANSFORMER, build, build_tokenizer


def weights(pipe):
    return {
        f"{part}.{name}": tensor
        for part in ("text_encoder", "transformer", "vae")
        for name, tensor in getattr(pipe, part).state_dict().items()
    }


def test_the_random_pipeline_has_every_component_of_a_wan_pipeline():
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


def test_the_random_pipeline_is_reproducible_and_preserves_the_global_random_state():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = weights(build())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = weights(build())
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_tokenizer_covers_every_script():
    tokenizer = build_tokenizer()
    for text in ("a romantic kiss", "Qwertz 42%", "吻", "नमस्ते", "🙂", "\u0301", "мама"):
        ids = tokenizer(text)["input_ids"]
        assert len(ids) > 1
        assert tokenizer.unk_token_id not in ids
        assert ids[-1] == tokenizer.eos_token_id


def test_the_embedded_model_is_below_6_mb_and_its_readme_names_the_training_command():
    files = list(tiny.FOLDER.rglob("*"))
    assert sum(file.stat().st_size for file in files if file.is_file()) < 6_000_000
    assert "generator.tiny.train" in (tiny.FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_revision_changes_with_the_weights(tmp_path, monkeypatch):
    before = tiny.revision()
    copied = shutil.copytree(tiny.FOLDER, tmp_path / "weights")
    monkeypatch.setattr(tiny, "FOLDER", copied)
    assert tiny.revision() == before
    with next(copied.rglob("*.safetensors")).open("ab") as file:
        file.write(b"\0")
    assert tiny.revision() != before
