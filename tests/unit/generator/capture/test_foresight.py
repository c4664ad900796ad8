"""Slow capture is announced before the first video, with its cost and the setting that avoids it."""

import pytest
import torch
from diffusers.models.attention_dispatch import attention_backend
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from generator.capture import cost, once
from generator.capture.foresight import warn_if_slow
from generator.capture.maps import BRANCHES, Keep
from generator.capture.recorder import capture


@pytest.fixture(autouse=True)
def _every_cost_is_worth_saying(monkeypatch):
    monkeypatch.setattr(once, "_said", set())
    monkeypatch.setattr(cost, "WORTH_SAYING", 0.0)


@pytest.fixture
def seconds_per_row(monkeypatch):
    """Let each row of a part take a second."""
    monkeypatch.setattr(cost, "_seconds", lambda part: float(part.query.shape[2]))


def said(caplog):
    return [record.getMessage() for record in caplog.records if "to capture less" in record.getMessage().lower()]


def test_nothing_is_said_where_torchs_own_kernel_tells_its_sums(model, sampling, caplog):
    warn_if_slow(model, model.grid(sampling), Keep())
    assert said(caplog) == []


@pytest.mark.parametrize("keep", [Keep(), Keep(layers=(1,)), Keep(branches=BRANCHES)])
def test_whole_rows_are_announced_with_the_cost_of_a_step_and_a_remedy(model, sampling, caplog, seconds_per_row, keep):
    with sdpa_kernel(SDPBackend.MATH):
        warn_if_slow(model, model.grid(sampling), keep)
        warn_if_slow(model, model.grid(sampling), keep)
    (line,) = said(caplog)
    layers = 4 if keep.layers is None else 1
    rows = model.grid(sampling).size * model.text_attention()[0].heads * layers * len(keep.branches)
    assert f"about {rows} s of each denoising step" in line
    assert "math does not tell the sums of its rows in float32 on cpu" in line
    assert "let torch choose its attention kernel" in line
    assert "`layers`" in line
    assert "`storage_interval`" in line


def test_a_small_cost_is_not_mentioned(model, sampling, caplog, monkeypatch):
    monkeypatch.setattr(cost, "WORTH_SAYING", 1e6)
    with sdpa_kernel(SDPBackend.MATH):
        warn_if_slow(model, model.grid(sampling), Keep())
    assert said(caplog) == []


def test_the_remedy_on_a_cpu_is_float32(model, sampling, caplog, monkeypatch):
    monkeypatch.setattr(type(model), "dtype", "bfloat16")
    warn_if_slow(model, model.grid(sampling), Keep())
    assert "--dtype float32" in said(caplog)[0]


def test_the_remedy_for_a_replaced_function_is_torchs_own(model, sampling, caplog, monkeypatch):
    torchs = functional.scaled_dot_product_attention

    def wrapped(**given):
        return torchs(**given)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", wrapped)
    warn_if_slow(model, model.grid(sampling), Keep())
    assert "do not set an attention backend or replace torch's attention" in said(caplog)[0]


def test_attention_that_fails_is_left_for_the_first_video_to_report(model, sampling, caplog, monkeypatch):
    def failing(**given):
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(functional, "scaled_dot_product_attention", failing)
    warn_if_slow(model, model.grid(sampling), Keep())
    assert said(caplog) == []


def test_the_random_numbers_of_the_videos_stay_as_they_are(model, sampling):
    torch.manual_seed(5)
    warn_if_slow(model, model.grid(sampling), Keep())
    found = torch.rand(())
    torch.manual_seed(5)
    assert torch.equal(found, torch.rand(()))


def test_what_shows_only_in_the_first_step_is_said_there(model, sampling, words, caplog):
    steps = []
    with attention_backend("_native_math"), capture(model, words("a (kiss)"), model.grid(sampling)) as recorder:
        model.generate("a kiss", sampling, 1, lambda done, total: steps.append(said(caplog)))
    assert recorder.summary()["log_sum"] == "whole rows"
    assert len(steps[0]) == 1  # the first layer's warning is there at the end of the first step
    assert len(said(caplog)) == 1
