"""Whole pipelines whose attention somebody replaced or moved to another backend: captured exactly."""

import numpy as np
import pytest
import torch
from diffusers.models import attention_dispatch
from torch.nn import functional

from generator.library import capture
from tests import families

pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast")  # Mochi's pipeline asks for float32 there

SIZES = {
    "cogvideox": {"width": 64, "height": 48, "num_frames": 9, "max_sequence_length": 32},
    "mochi": {"width": 64, "height": 48, "num_frames": 7},
    "animatediff": {"width": 64, "height": 40, "num_frames": 3},
    "wan": {"width": 64, "height": 48, "num_frames": 5},
}


@pytest.fixture(scope="module", params=["cogvideox", "mochi", "animatediff"])
def generate(request):
    """Return a pipeline that calls torch's own attention, and a function that makes a video with it."""
    return pipeline(request.param)


@pytest.fixture(scope="module")
def wan():
    """Return a pipeline that calls diffusers' attention, and a function that makes a video with it."""
    return pipeline("wan")


def pipeline(name):
    pipe = families.build(name)
    pipe.set_progress_bar_config(disable=True)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()

    def video():
        generator = torch.Generator().manual_seed(1)
        given = {"prompt": "a kiss", "num_inference_steps": 2, "generator": generator, "output_type": "np"}
        return pipe(**given, **SIZES[name]).frames[0]

    return pipe, video


def sageattn(q, k, v, tensor_layout="HND", is_causal=False, **kwargs):
    """Stand in for SageAttention, which its documentation puts in the place of torch's own function."""
    assert tensor_layout == "HND"
    step = k.abs().amax() / 127
    mask = kwargs.get("attn_mask")
    scores = q @ ((k / step).round() * step).transpose(-1, -2) * q.shape[-1] ** -0.5
    return (scores if mask is None else scores + mask).softmax(-1) @ v


def test_a_kernel_in_place_of_torchs_own_is_captured_and_the_manifest_says_so(generate, monkeypatch):
    pipe, video = generate
    monkeypatch.setattr(functional, "scaled_dot_product_attention", sageattn)
    plain = video()
    with capture(pipe, ["kiss"], self_check=True) as maps:
        captured = video()
    assert np.array_equal(plain, captured)
    summary = maps.last.recorder.summary()
    assert summary["kernel"].endswith("sageattn")
    assert (summary["log_sum"], summary["exact"]) == ("whole rows", False)
    assert summary["largest_difference"] > 0
    assert summary["self_check"]["max_abs_error"] <= 1e-6
    assert functional.scaled_dot_product_attention is sageattn


@pytest.mark.parametrize(
    ("family", "compiled"),
    [*((family, None) for family in SIZES), ("wan", "compile_repeated_blocks"), ("cogvideox", "compile")],
)
def test_a_function_in_place_of_torchs_own_receives_the_arguments_that_diffusers_passes(family, compiled, monkeypatch):
    pipe, video = pipeline(family)
    if compiled:
        getattr(pipe.transformer, compiled)(backend="eager")
    received = set()
    own = functional.scaled_dot_product_attention

    def replacement(*args, **kwargs):
        received.add((len(args), *kwargs))
        return own(*args, **kwargs)

    # It is called, not traced, so that it is called each time.
    monkeypatch.setattr(functional, "scaled_dot_product_attention", torch.compiler.disable(replacement))
    plain = video()
    expected, received = received, set()
    with capture(pipe, ["kiss"]):
        assert np.array_equal(video(), plain)
    assert received == expected


@pytest.mark.parametrize("backend", ["_native_flash", "_native_math", "flash"])
def test_a_backend_of_diffusers_is_captured(wan, monkeypatch, backend):
    pipe, video = wan
    if backend == "flash":  # it needs a package and a GPU

        def flash(q, k, v, *, softmax_scale, return_attn_probs, **others):
            q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
            output, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, scale=softmax_scale)
            return (output.transpose(1, 2), log_sum, None) if return_attn_probs else output.transpose(1, 2)

        monkeypatch.setattr(attention_dispatch, "flash_attn_func", flash)
        monkeypatch.setattr(attention_dispatch, "_CAN_USE_FLASH_ATTN", True)
    with capture(pipe, ["kiss"], storage_dtype="float32") as maps:
        video()
    expected = maps["kiss"]
    pipe.transformer.set_attention_backend(backend)
    try:
        plain = video()
        with capture(pipe, ["kiss"], storage_dtype="float32", self_check=True) as maps:
            captured = video()
    finally:
        pipe.transformer.reset_attention_backend()
    assert np.array_equal(plain, captured)
    assert np.abs(maps["kiss"] - expected).max() <= 1e-5
    summary = maps.last.recorder.summary()
    assert summary["self_check"]["max_abs_error"] <= 1e-6
    assert summary["exact"] is True
    assert summary["log_sum"] == ("whole rows" if backend == "_native_math" else "kernel")
