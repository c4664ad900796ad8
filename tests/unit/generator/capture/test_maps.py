"""Combining the layers of a step into the kept maps."""

import pytest
import torch

from generator.capture.maps import Keep, LayerMaps, Mean, coarser_size
from generator.errors import CaptureError
from generator.models.contract import LatentGrid

GRID = LatentGrid(frames=2, height=5, width=9, temporal_stride=1, causal_first_frame=True)


@pytest.mark.parametrize(
    ("tokens", "size"), [(90, (5, 9)), (2 * 3 * 5, (3, 5)), (2 * 2 * 3, (2, 3)), (2 * 2, (1, 2)), (2, (1, 1))]
)
def test_the_grid_of_a_coarser_layer_is_found_by_halving(tokens, size):
    assert coarser_size(GRID, tokens) == size


@pytest.mark.parametrize("tokens", [91, 89, 1, 0])
def test_a_layer_of_any_other_size_is_refused(tokens):
    with pytest.raises(CaptureError, match=f"found {tokens} latent tokens .* expected 2 frames of 5 x 9"):
        coarser_size(GRID, tokens)


def test_frames_of_a_coarse_layer_are_enlarged_separately():
    maps = LayerMaps(Keep(per_head=True), GRID, layers=1)
    found = torch.arange(2 * 1 * 2.0 * 6).reshape(1, 2, 2, 6)  # [name, frame, head, row]
    assert maps.add(0, found) == 2
    whole = maps.maps()
    assert whole.shape == (1, 1, 2, 2, 5, 9)
    for frame in range(2):
        for head in range(2):
            cells = found[0, frame, head].reshape(2, 3)
            expected = cells[[0, 0, 1, 1, 1]][:, [0, 0, 0, 1, 1, 1, 2, 2, 2]]
            assert torch.equal(whole[0, 0, head, frame], expected)


def test_per_head_maps_need_the_same_number_of_heads_in_all_layers():
    maps = LayerMaps(Keep(per_head=True), GRID, layers=2)
    maps.add(0, torch.ones(1, 1, 2, 90))
    with pytest.raises(CaptureError, match="found layers of 2 and of 4 heads"):
        maps.add(1, torch.ones(1, 1, 4, 90))


def test_the_mean_of_heads_accepts_layers_with_different_numbers_of_heads():
    maps = LayerMaps(Keep(), GRID, layers=2)
    maps.add(0, torch.ones(1, 1, 2, 90))
    maps.add(1, torch.full((1, 1, 4, 90), 3.0))
    assert torch.equal(maps.maps(), torch.full((1, 1, 1, 2, 5, 9), 2.0))


def test_without_layers_there_is_no_map():
    assert LayerMaps(Keep(), GRID, layers=3).maps() is None


def test_a_step_is_captured_for_its_map_or_for_the_mean():
    assert [Keep(interval=3).keeps_step(step) for step in range(4)] == [True, False, False, True]
    assert Keep(interval=3).needs_step(1)
    assert not Keep(interval=3, aggregated=False).needs_step(1)
    assert not Keep(steps=False).keeps_step(0)


def test_a_mean_does_not_modify_its_inputs():
    mean, first = Mean(), torch.ones(2)
    assert mean.value is None
    mean.add(first)
    mean.add(torch.full((2,), 3.0))
    assert torch.equal(first, torch.ones(2))
    assert torch.equal(mean.value, torch.full((2,), 2.0))
