"""A network whose layers lie on two devices: fake tensors carry devices and refuse to mix them, as real ones do."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from generator.capture import attention
from generator.capture.attention import AttentionCall, Ran
from generator.capture.columns import TrackedColumns
from generator.capture.heard import Heard
from generator.capture.maps import CONDITIONAL, Keep, LayerMaps, Mean
from generator.capture.placement import Placement
from generator.models.contract import LatentGrid, TextPlace
from generator.prompts.tokens import TrackedWord

GRID = LatentGrid(2, 3, 4, 4, causal_first_frame=True)
DEVICES = "cpu", "meta", "cpu"
"""Fake tensors of a GPU cannot be sliced without one; the device without data takes its place."""
MODEL = SimpleNamespace(
    text_place=TextPlace.APART,
    text_keys=20,
    frame_by_frame=False,
    text_attention=lambda: [SimpleNamespace(denoiser="")],
    latent_rows=lambda found, grid: slice(found),
)
WORDS = [TrackedWord("kiss", "kiss", None, (1, 2), ()), TrackedWord("dog", "dog", None, (4,), ())]


@pytest.fixture(autouse=True)
def _fake(monkeypatch):
    monkeypatch.setattr(
        attention, "exact_products", lambda device: nullcontext()
    )  # `meta` has no autocast to switch off
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


class Moves(TorchDispatchMode):
    """Records what is moved to another device."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        given = {one.device for one in pytree.arg_tree_leaves(args) if isinstance(one, torch.Tensor) and one.ndim}
        if isinstance(result, torch.Tensor) and given - {result.device}:
            self.seen.append((function.name(), result.device))
        return result


@pytest.mark.parametrize("keep", [Keep(), Keep(per_block=True), Keep(per_head=True)], ids=["mean", "layers", "heads"])
def test_maps_of_layers_on_several_gpus_come_together_on_the_first(keep):
    maps = LayerMaps(keep, GRID, 6)
    with Moves() as moves:
        for number, device in enumerate(("cuda:0", "cuda:1", "cuda:2") * 2):
            maps.add(number, torch.empty(2, 1, 4, GRID.size, device=device))
        assert moves.seen == []
        assert maps.maps().device == torch.device("cuda:0")
    assert [device for _, device in moves.seen] == [torch.device("cuda:0")] * 2  # once a step, and not for each layer


def test_the_mean_over_networks_on_several_gpus_is_on_the_first():
    mean = Mean()
    for device in ("cuda:0", "cuda:1"):
        mean.add(torch.empty(2, 3, device=device))
    assert (mean.total.device, mean.count) == (torch.device("cuda:0"), 2)


def test_the_largest_error_of_layers_on_several_devices_comes_to_that_of_the_maps():
    keep = Keep(self_check=True)
    tracked = TrackedColumns(MODEL, GRID, keep, Placement(MODEL, WORDS, keep, {}, Heard(None, None)))
    tracked.check._errors = [torch.empty((), device=device) for device in ("cuda:1", "cuda:0", "cuda:1")]
    assert tracked.take_error(torch.empty(3, device="cuda:0")).device == torch.device("cuda:0")


def test_columns_follow_the_device_of_each_layer():
    tracked = TrackedColumns(MODEL, GRID, Keep(), Placement(MODEL, WORDS, Keep(), {}, Heard(None, None)))
    with Moves() as moves:
        for device in DEVICES:
            call = AttentionCall(
                torch.empty(1, 4, GRID.size, 16, device=device),
                torch.empty(1, 4, MODEL.text_keys, 16, device=device),
                log_sum=torch.empty(1, 4, GRID.size, device=device),
                ran=Ran("flash_attention"),
            )
            found = tracked.probabilities(call, slice(0, 1), CONDITIONAL, "layer")
            assert (found.device, len(found)) == (torch.device(device), len(WORDS))
    assert moves.seen == []
