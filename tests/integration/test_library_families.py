"""Capture in a script with a pipeline of every family, with and without memory-saving options."""

import numpy as np
import pytest
import torch

from generator.library import capture
from generator.models.memory import arrange
from generator.settings import ModelSettings
from tests.integration.library_support import SIZES, build, call

# Mochi raises this warning on every CPU.
pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast:UserWarning")


@pytest.fixture(params=SIZES)
def family(request):
    return request.param


@pytest.fixture
def pipe(family):
    return build(family)


def test_a_call_is_recorded_and_the_video_stays_bit_identical(pipe, family):
    without = call(pipe, family)
    with capture(pipe, words=["kiss"]) as maps:
        during = call(pipe, family)
    assert np.array_equal(without, during)
    assert maps["kiss"].shape == (3, 1, 1, *SIZES[family][1])
    assert maps["kiss"].std() > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_gpu_the_video_stays_bit_identical_and_the_maps_are_exact(pipe, family, dtype):
    pipe.to("cuda", dtype)
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        without = call(pipe, family)
        with capture(pipe, words=["kiss"], self_check=True) as maps:
            during = call(pipe, family)
    assert np.array_equal(without, during)
    assert maps.last.recorder.summary()["self_check"]["max_abs_error"] <= 1e-6


def test_vae_tiling_slicing_and_offloading_do_not_change_the_maps(pipe, family):
    with capture(pipe, words=["kiss"]) as maps:
        call(pipe, family)
        before = maps["kiss"]
        arrange(pipe, ModelSettings(vae_tiling=True, vae_slicing=True), torch.device("cpu"))
        pipe.enable_model_cpu_offload(device="cpu")
        call(pipe, family)
        assert np.array_equal(before, maps["kiss"])
