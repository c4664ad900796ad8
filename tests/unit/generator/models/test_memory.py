"""Every way of sparing memory, on the real pipeline. On a CPU the hooks are the same, they only spare nothing."""

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
def _backend_as_before():
    """Choosing a kernel for one network chooses it for all, in diffusers."""
    before, _ = _AttentionBackendRegistry.get_active_backend()
    yield
    _AttentionBackendRegistry.set_active_backend(before)


@pytest.fixture
def captured(sampling, words):
    """Make a video with capture; return its frames and its maps, ``[step, word, layer, head, frame, y, x]``."""

    def make(model):
        tracked = words("a (kiss)")
        keep = Keep(per_block=True, per_head=True, dtype=torch.float32)
        with capture(model, tracked, model.grid(sampling), keep) as recorder:
            frames = model.generate("a kiss", sampling, 1, lambda done, total: None)
        return frames, torch.stack([step.maps for step in recorder.steps])

    return make


def loaded(**settings):
    return models.load(ModelSettings(**{"device": "cpu", **settings}))


def aligned(model):
    """Copy all weights: from a file they are memory-mapped at odd addresses, where kernels may round differently."""
    for part in (model.pipe.transformer, model.pipe.text_encoder, model.pipe.vae):
        for weights in part.parameters():
            weights.data = weights.data.clone()
    return model


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other)


def test_a_video_and_its_maps_are_the_same_when_parts_wait_outside(captured):
    offloaded = loaded()
    offloaded.pipe.enable_model_cpu_offload(device="cpu")
    assert hasattr(offloaded.pipe.transformer, "_hf_hook")
    assert offloaded.device == "cpu:0"
    assert_same(captured(offloaded), captured(aligned(loaded())))


def test_a_video_and_its_maps_are_the_same_when_each_layer_waits_outside(model, captured):
    offloaded = loaded()
    cpu_offload(offloaded.pipe.transformer, torch.device("cpu"))  # what a pipeline does with each of its networks
    assert offloaded.pipe.transformer.device.type == "meta"
    assert_same(captured(offloaded), captured(model))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_on_a_gpu_a_video_and_its_maps_are_the_same_when_parts_wait_outside(captured, offload):
    offloaded = loaded(device="cuda", offload=offload)
    assert offloaded.pipe.transformer.device.type != "cuda"
    assert offloaded.device == "cuda:0"
    assert_same(captured(offloaded), captured(loaded(device="cuda")))


def test_an_offloaded_pipeline_works_again_after_an_exception(sampling, captured):
    offloaded = loaded()
    offloaded.pipe.enable_model_cpu_offload(device="cpu")

    def fail(done, total):
        raise KeyError("in the middle")

    with pytest.raises(KeyError):
        offloaded.generate("a kiss", sampling, 1, fail)
    recover(offloaded.pipe)
    assert np.array_equal(captured(offloaded)[0], captured(aligned(loaded()))[0])


def test_tiles_and_slices_are_decoded_without_touching_the_maps(model, captured):
    sparing = loaded(vae_tiling=True, vae_slicing=True)
    assert sparing.pipe.vae.use_tiling
    assert sparing.pipe.vae.use_slicing
    frames, maps = captured(sparing)
    assert frames.shape == (5, 48, 64, 3)
    assert np.array_equal(maps, captured(model)[1])


def test_capture_sees_the_same_with_another_kernel(model, captured):
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
def test_what_is_not_there_is_refused(settings, complaint):
    with pytest.raises(ModelError, match=complaint):
        loaded(**settings)


def test_a_vae_that_has_no_tiles_is_refused(monkeypatch):
    def cannot(vae):
        raise NotImplementedError

    monkeypatch.setattr("diffusers.AutoencoderKLWan.enable_tiling", cannot)
    with pytest.raises(ModelError, match="vae_tiling: found true, but AutoencoderKLWan cannot do it"):
        loaded(vae_tiling=True)


def test_attention_that_knows_no_other_kernels_is_refused(monkeypatch):
    monkeypatch.delattr("diffusers.models.transformers.transformer_wan.WanAttnProcessor._attention_backend")
    with pytest.raises(ModelError, match="the attention of WanTransformer3DModel always calls torch's own kernels"):
        loaded(attention_backend="native")
