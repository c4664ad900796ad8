"""Training of the embedded model: the optimiser, resuming after an interruption, and the shortcut for padding."""

import logging
from dataclasses import replace

import pytest
import torch
from diffusers import DiffusionPipeline
from torch import nn

from generator.models.tiny import SAMPLING
from generator.tiny import autoencoder, denoiser, reading, train
from generator.tiny.descent import Descent, Phase
from generator.tiny.muon import Muon, orthogonal
from generator.tiny.networks import SCHEDULER, build, build_tokenizer


@pytest.fixture(autouse=True)
def _one_core():
    torch.set_num_threads(1)


def phase_of(model, steps=40):
    """A phase that learns a fixed linear map; step and number determine each sample."""

    def loss_of(step, samples):
        drawn = [torch.randn(8, generator=torch.Generator().manual_seed(step * 100 + sample)) for sample in samples]
        given = torch.stack(drawn)
        return (model(given) - given.roll(1, 1)).square().mean()

    return Phase("linear", (model,), lambda step: 6, loss_of, steps, lr=0.05, adam_lr=0.01, warm_up=5)


def linear():
    torch.manual_seed(0)
    return nn.Linear(8, 8)


def trained(folder, *, workers=1, steps=40):
    model = linear()
    Descent(phase_of(model, steps), folder, workers).run()
    return model


def test_orthogonal_brings_all_singular_values_close_to_one():
    for shape in ((16, 64), (64, 16), (32, 32)):
        found = torch.linalg.svdvals(orthogonal(torch.randn(shape, generator=torch.Generator().manual_seed(1))))
        assert found.min() > 0.3
        assert found.max() < 1.4


def test_muon_optimises_matrices_and_kernels_and_adam_the_rest():
    model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 6), nn.Conv3d(6, 2, 3), nn.LayerNorm(2))
    muon, adam = Muon([model], lr=0.1, adam_lr=0.1).param_groups
    assert [tuple(weight.shape) for weight in muon["params"]] == [(6, 4), (2, 6, 3, 3, 3)]
    assert sum(weight.numel() for weight in adam["params"]) == 9 * 4 + 6 + 2 + 2 + 2


def test_a_closure_is_refused():
    with pytest.raises(TypeError, match=r"found a closure, .* call backward before step"):
        Muon([linear()], lr=0.1, adam_lr=0.1).step(lambda: 0.0)


def test_the_loss_falls(tmp_path):
    before, after = phase_of(linear()).loss_of(999, range(50)), phase_of(trained(tmp_path)).loss_of(999, range(50))
    assert after < 0.2 * before


def test_resumed_training_gives_the_same_result_as_uninterrupted_training(tmp_path, monkeypatch):
    monkeypatch.setattr("generator.tiny.descent.CHECKPOINT_SECONDS", 0)
    model = linear()
    phase = phase_of(model)

    def interrupted(step, samples):
        if step == 17:
            raise KeyboardInterrupt
        return phase_of(model).loss_of(step, samples)

    with pytest.raises(KeyboardInterrupt):
        Descent(replace(phase, loss_of=interrupted), tmp_path, 1).run()
    resumed_model = linear()
    resumed = Descent(phase_of(resumed_model), tmp_path, 1)
    assert resumed.step == 17
    resumed.run()
    assert torch.equal(resumed_model.weight, trained(tmp_path / "..", steps=40).weight)


def test_the_number_of_workers_does_not_change_the_result(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "four").mkdir()
    one, four = trained(tmp_path / "one"), trained(tmp_path / "four", workers=4)
    torch.testing.assert_close(one.weight, four.weight, rtol=1e-3, atol=1e-4)


def test_progress_messages_contain_the_remaining_time(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("generator.tiny.descent.REPORT_SECONDS", 0)
    with caplog.at_level(logging.INFO, logger="generator.tiny"):
        trained(tmp_path, steps=3)
    assert "linear: step 2 of 3" in caplog.text
    assert "min left" in caplog.text


def test_short_text_with_one_key_for_all_padding_equals_the_full_text():
    pipe = build()
    prompt = "a red circle moving left"
    noised = torch.randn(1, 16, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole, _ = pipe.encode_prompt(prompt, do_classifier_free_guidance=False, max_sequence_length=512)
        expected = pipe.transformer(noised, torch.tensor([500.0]), whole, return_dict=False)[0]
        with denoiser.short_text(pipe.transformer):
            found = pipe.transformer(noised, torch.tensor([500.0]), reading.embed(pipe, [prompt]), return_dict=False)
        after = pipe.transformer(noised, torch.tensor([500.0]), whole, return_dict=False)[0]
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(after, expected)


def test_the_tokenizer_ignores_case_and_has_one_unknown_token():
    tokenizer = build_tokenizer()
    found = tokenizer("A Red kiss, a green hug", return_offsets_mapping=True)
    assert found["input_ids"][:2] == tokenizer("a red", add_special_tokens=False)["input_ids"]
    assert found["input_ids"][2] == found["input_ids"][6] == tokenizer.unk_token_id
    assert found["offset_mapping"][2] == (6, 10)


@pytest.fixture
def short(monkeypatch):
    """Use few and small clips, so that training takes seconds."""
    monkeypatch.setattr(autoencoder, "CROPS", (autoencoder.Crop(1.0, 2, 5, 24),))
    monkeypatch.setattr(denoiser, "BANKS", (denoiser.Bank(1.0, 4, 2, 5, 64),))


def test_training_updates_every_network_and_saves_a_working_pipeline(tmp_path, short):
    steps = ("--vae-steps", "2", "--reading-steps", "2", "--steps", "2", "--no-evaluation")
    train.main([str(tmp_path / "model"), "--work", str(tmp_path / "work"), *steps])
    pipe = DiffusionPipeline.from_pretrained(tmp_path / "model", dtype=torch.float32)
    for part in ("vae", "text_encoder", "transformer"):
        assert not same(getattr(pipe, part), getattr(build(0), part).half().float())
    pipe.set_progress_bar_config(disable=True)
    assert pipe.scheduler.config.flow_shift == SCHEDULER["flow_shift"]
    assert len(pipe.vae.config.latents_mean) == 16
    found = pipe("a red circle", width=16, height=16, num_frames=5, num_inference_steps=2, output_type="np")
    assert found.frames.shape == (1, 5, 16, 16, 3)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "seed 0" in card
    assert f"{SAMPLING.width} x {SAMPLING.height}" in card
    size = sum(path.stat().st_size for path in (tmp_path / "model").rglob("*.safetensors"))
    assert size < 6_000_000


def test_training_the_transformer_does_not_change_the_text_encoder(tmp_path, short):
    pipe = build(0)
    denoiser.train(pipe, tmp_path, seed=0, workers=1, steps=1)
    assert same(pipe.text_encoder, build(0).text_encoder)
    assert not same(pipe.transformer, build(0).transformer)


def test_encoded_clips_are_reused_only_for_the_same_vae_and_seed(tmp_path, short):
    first, second = build(0), build(1)
    denoiser.train(first, tmp_path, seed=0, workers=1, steps=1)
    known = set(tmp_path.glob("latents-*"))
    assert len(known) == 1
    denoiser.train(first, tmp_path, seed=0, workers=1, steps=1)
    assert set(tmp_path.glob("latents-*")) == known
    denoiser.train(first, tmp_path, seed=1, workers=1, steps=1)
    denoiser.train(second, tmp_path, seed=0, workers=1, steps=1)
    assert len(set(tmp_path.glob("latents-*"))) == 3


def same(one, other):
    """Whether two modules have the same weights."""
    return all(torch.equal(first, second) for first, second in zip(one.parameters(), other.parameters(), strict=True))
