"""Capture in a script, with a pipeline of every family, plain and with every way to save memory."""

import numpy as np
import pytest
import torch

from generator.library import capture
from generator.models.memory import arrange
from generator.settings import ModelSettings
from tests import families

# Mochi emits this warning on every CPU.
pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast:UserWarning")

SIZES = {  # width, height, frames, and the latent grid
    "wan": ((64, 48, 5), (2, 3, 4)),
    "wan2.2": ((64, 48, 5), (2, 3, 4)),
    "cogvideox": ((64, 48, 9), (3, 3, 4)),
    "ltx": ((96, 64, 17), (3, 2, 3)),
    "hunyuan": ((64, 48, 5), (2, 3, 4)),
    "mochi": ((64, 48, 7), (2, 3, 4)),
    "animatediff": ((64, 40, 3), (3, 5, 8)),
}


@pytest.fixture(params=SIZES)
def family(request):
    return request.param


@pytest.fixture
def pipe(family):
    torch.set_num_threads(1)
    pipe = families.build(family)
    pipe.set_progress_bar_config(disable=True)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()  # without dropout, as `from_pretrained` leaves it
    return pipe


def call(pipe, family):
    (width, height, frames), _ = SIZES[family]
    return pipe(
        prompt="a romantic kiss",
        width=width,
        height=height,
        num_frames=frames,
        num_inference_steps=3,
        generator=torch.Generator().manual_seed(1),
        output_type="np",
        **({"max_sequence_length": 32} if family == "cogvideox" else {}),  # what this tiny pipeline was built for
    ).frames[0]


def test_capture_records_the_call_and_leaves_the_video_unchanged(pipe, family):
    without = call(pipe, family)
    with capture(pipe, words=["kiss"]) as maps:
        during = call(pipe, family)
    assert np.array_equal(without, during)
    assert maps["kiss"].shape == (3, 1, 1, *SIZES[family][1])
    assert maps["kiss"].std() > 0


def test_tiling_slicing_and_offloading_do_not_change_the_maps(pipe, family):
    with capture(pipe, words=["kiss"]) as maps:
        call(pipe, family)
        before = maps["kiss"]
        arrange(pipe, ModelSettings(vae_tiling=True, vae_slicing=True), torch.device("cpu"))
        pipe.enable_model_cpu_offload(device="cpu")
        call(pipe, family)
        assert np.array_equal(before, maps["kiss"])
