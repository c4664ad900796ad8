"""Every memory-saving option, on the real pipeline. On a CPU the offloading hooks are the same; they just save nothing.

Bit-by-bit comparisons need weights in memory of equal alignment. ``safetensors`` maps a file, so a weight sits at any
multiple of 4 bytes, whereas offloading copies it to an address that is a multiple of 64. On some CPUs, MKL multiplies
a single row in another order when the matrix is not aligned (``MKL_CBWR=COMPATIBLE`` turns that off), which changes
the last bits of a video although nothing else changed. GPUs always hold aligned copies.
"""

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from diffusers.models.attention_dispatch import _AttentionBackendRegistry

from generator.capture.maps import Keep
from generator.capture.recorder import capture
from generator.errors import ModelError
from generator.models import load as models
from generator.models import tiny
from generator.models.memory import recover
from generator.settings import ModelSettings


@pytest.fixture(autouse=True)
def _random_weights(monkeypatch, random_weights):
    monkeypatch.setattr(tiny, "FOLDER", random_weights)


@pytest.fixture(autouse=True)
def _restored_backend():
    """Restore the attention backend: diffusers sets it for all networks when it is set for one."""
    before, _ = _AttentionBackendRegistry.get_active_backend()
    yield
    _AttentionBackendRegistry.set_active_backend(before)


@pytest.fixture
def captured(sampling, words):
    """Generate a video with capture; return frames and maps ``[step, word, layer, head, frame, y, x]``."""

    def make(model):
        tracked = words("a (kiss)")
        keep = Keep(per_block=True, per_head=True, dtype=torch.float32)
        with capture(model, tracked, model.grid(sampling), keep) as recorder:
            frames = model.generate("a kiss", sampling, 1, lambda done, total: None)
        return frames, torch.stack([step.maps for step in recorder.steps])

    return make


def loaded(**settings):
    return models.load(ModelSettings(**{"device": "cpu", **settings}))


def loaded_aligned():
    """Load the pipeline on the CPU and copy every weight to aligned memory, as offloading does."""
    model = loaded()
    for part in (model.pipe.text_encoder, model.pipe.transformer, model.pipe.vae):
        for weight in part.parameters():
            weight.data = weight.data.clone()
            assert weight.data_ptr() % 64 == 0
    return model


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other)


def test_model_offloading_changes_neither_the_video_nor_its_maps(captured):
    offloaded = loaded_aligned()
    offloaded.pipe.enable_model_cpu_offload(device="cpu")
    assert hasattr(offloaded.pipe.transformer, "_hf_hook")
    assert offloaded.device == "cpu:0"
    assert_same(captured(offloaded), captured(loaded_aligned()))


def test_sequential_offloading_changes_neither_the_video_nor_its_maps(captured):
    offloaded = loaded_aligned()
    cpu_offload(offloaded.pipe.transformer, torch.device("cpu"))  # what a pipeline does to each of its networks
    assert offloaded.pipe.transformer.device.type == "meta"
    assert_same(captured(offloaded), captured(loaded_aligned()))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_offloading_on_a_gpu_changes_neither_the_video_nor_its_maps(captured, offload):
    offloaded = loaded(device="cuda", offload=offload)
    assert offloaded.pipe.transformer.device.type != "cuda"
    assert offloaded.device == "cuda:0"
    assert_same(captured(offloaded), captured(loaded(device="cuda")))


def test_an_offloaded_pipeline_works_again_after_an_exception(sampling, captured):
    offloaded = loaded_aligned()
    offloaded.pipe.enable_model_cpu_offload(device="cpu")

    def fail(done, total):
        raise KeyError("in the middle")

    with pytest.raises(KeyError):
        offloaded.generate("a kiss", sampling, 1, fail)
    recover(offloaded.pipe)
    assert np.array_equal(captured(offloaded)[0], captured(loaded_aligned())[0])


def test_vae_tiling_and_slicing_do_not_change_the_maps(model, captured):
    tiled = loaded(vae_tiling=True, vae_slicing=True)
    assert tiled.pipe.vae.use_tiling
    assert tiled.pipe.vae.use_slicing
    frames, maps = captured(tiled)
    assert frames.shape == (5, 48, 64, 3)
    assert np.array_equal(maps, captured(model)[1])


def test_capture_records_the_same_maps_with_another_attention_kernel(model, captured):
    expected = captured(model)
    frames, maps = captured(loaded(attention_backend="_native_math"))
    assert np.abs(frames - expected[0]).max() < 1e-3
    assert (maps - expected[1]).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"attention_backend": "flsh"}, r"attention_backend: found 'flsh', which cannot be used: .*must be one of"),
        ({"offload": "model"}, "offload: found 'model', but the device is a CPU"),
        ({"attention_backend": "sage"}, "attention_backend: found 'sage', which cannot be used"),
    ],
)
def test_unavailable_backends_and_offloading_on_a_cpu_are_refused(settings, complaint):
    with pytest.raises(ModelError, match=complaint):
        loaded(**settings)


def test_vae_tiling_is_refused_if_the_vae_does_not_support_it(monkeypatch):
    def unsupported(vae):
        raise NotImplementedError

    monkeypatch.setattr("diffusers.AutoencoderKLWan.enable_tiling", unsupported)
    with pytest.raises(ModelError, match="vae_tiling: found true, but AutoencoderKLWan does not support it"):
        loaded(vae_tiling=True)


def test_an_attention_backend_is_refused_if_the_processors_ignore_it(monkeypatch):
    monkeypatch.delattr("diffusers.models.transformers.transformer_wan.WanAttnProcessor._attention_backend")
    with pytest.raises(ModelError, match="the attention of WanTransformer3DModel always calls torch's own kernels"):
        loaded(attention_backend="native")
