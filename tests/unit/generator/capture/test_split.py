"""A network whose layers lie on two devices: fake tensors carry devices and refuse to mix them, as real ones do."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from generator.capture import attention
from generator.capture.attention import AttentionCall, Ran
from generator.capture.columns import TrackedColumns
from generator.capture.maps import CONDITIONAL, Keep, LayerMaps
from generator.models.contract import LatentGrid, TextPlace

GRID = LatentGrid(2, 3, 4, 4, causal_first_frame=True)
DEVICES = "cpu", "meta", "cpu"
"""Fake tensors of a GPU cannot be sliced without one; the device without data takes its place."""
MODEL = SimpleNamespace(
    text_place=TextPlace.APART,
    text_keys=20,
    frame_by_frame=False,
    text_attention=lambda: [SimpleNamespace(denoiser="")],
)
WORDS = [SimpleNamespace(slug="kiss", positions=(1, 2)), SimpleNamespace(slug="dog", positions=(4,))]


@pytest.fixture(autouse=True)
def _fake(monkeypatch):
    monkeypatch.setattr(
        attention, "exact_products", lambda device: nullcontext()
    )  # `meta` has no autocast to switch off
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


@pytest.mark.parametrize("keep", [Keep(), Keep(per_block=True), Keep(per_head=True)], ids=["mean", "layers", "heads"])
def test_maps_of_layers_on_several_gpus_come_together_on_the_first(keep):
    maps = LayerMaps(keep, GRID, 3)
    for number, device in enumerate(("cuda:0", "cuda:1", "cuda:0")):
        maps.add(number, torch.empty(2, 1, 4, GRID.size, device=device))
    assert maps.maps().device == torch.device("cuda:0")


def test_columns_follow_the_device_of_each_layer():
    tracked = TrackedColumns(MODEL, WORDS, GRID, Keep(), {})
    for device in DEVICES:
        call = AttentionCall(
            torch.empty(1, 4, GRID.size, 16, device=device),
            torch.empty(1, 4, MODEL.text_keys, 16, device=device),
            log_sum=torch.empty(1, 4, GRID.size, device=device),
            ran=Ran("flash_attention"),
        )
        found = tracked.probabilities(call, slice(0, 1), CONDITIONAL, "layer")
        assert (found.device, len(found)) == (torch.device(device), len(WORDS))
