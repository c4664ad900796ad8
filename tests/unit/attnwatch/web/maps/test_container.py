import numpy as np
import pytest

from attnwatch.errors import ConfigError, UnknownNameError
from attnwatch.web.maps import asked as limits
from attnwatch.web.maps.asked import Asked
from attnwatch.web.maps.container import container
from tests.support import GRID, blob_maps
from tests.unit.attnwatch.web.maps.conftest import unpacked, video


@pytest.fixture
def stored():
    return blob_maps(steps=3, layers=2, heads=2)


@pytest.fixture
def manifest(tmp_path, stored):
    denoising = [{"index": index} for index in (0, 4, 9)]
    return video(tmp_path, stored, denoising=denoising)


def test_the_mean_over_all_steps_is_one_map_as_exact_as_its_contrast_allows(manifest, stored):
    header, maps = unpacked(container(manifest, "kiss", Asked.of()))
    expected = stored.mean(axis=(0, 1, 2))
    assert header == {"format": "attnwatch-maps/1", "word": "kiss", "shape": [1, *GRID], "steps": None}
    assert np.abs(maps[0] - expected).max() <= 1e-5 * np.ptp(expected)


def test_each_step_comes_with_its_number_and_its_own_ends(manifest, stored):
    header, maps = unpacked(container(manifest, "kiss", Asked.of("each", "1", "0-1")))
    assert header["steps"] == [0, 4, 9]
    for step, given in zip(maps, stored[:, 1].mean(axis=1), strict=True):
        assert np.allclose(step.min(axis=(1, 2)), given.min(axis=(1, 2)), rtol=1e-6)
        assert np.allclose(step.max(axis=(1, 2)), given.max(axis=(1, 2)), rtol=1e-6)
        assert np.abs(step - given).max() <= 1e-5 * given.max()


def test_one_step_is_asked_for_by_its_number(manifest, stored):
    header, maps = unpacked(container(manifest, "kiss", Asked.of("4")))
    assert header["steps"] is None
    assert np.allclose(maps[0], stored[1].mean(axis=(0, 1)), atol=1e-5)


def test_little_contrast_on_much_attention_is_kept(tmp_path):
    flat = np.float32(0.9) + np.linspace(0, 1e-4, np.prod(GRID), dtype=np.float32).reshape(1, 1, 1, *GRID)
    _, maps = unpacked(container(video(tmp_path, flat), "kiss", Asked.of()))
    assert np.abs(maps[0] - flat[0, 0, 0]).max() < 1e-7  # as halves, these would be two values


def test_masked_cells_are_nan_and_a_frame_without_others_is_too(tmp_path, stored):
    stored[0, 0, 0, 1, 2, 3] = np.inf
    stored[0, 0, 0, 2] = np.nan
    _, maps = unpacked(container(video(tmp_path, stored), "kiss", Asked.of()))
    assert np.isnan(maps[0, 1]).sum() == 1
    assert np.isnan(maps[0, 2]).all()
    assert np.isfinite(maps[0, 0]).all()


def test_what_is_not_there_is_refused(manifest):
    with pytest.raises(UnknownNameError):
        container(manifest, "dog", Asked.of())
    with pytest.raises(ConfigError, match="expected some of the stored ones"):
        container(manifest, "kiss", Asked.of("each", "7"))
    with pytest.raises(ConfigError):
        Asked.of("none")


def test_an_answer_for_which_too_much_would_be_read_is_refused(manifest, monkeypatch):
    monkeypatch.setattr(limits, "MOST_BYTES", 4 * np.prod(GRID) * 2)
    container(manifest, "kiss", Asked.of("4", "0"))
    with pytest.raises(ConfigError, match="choose one step, layer or head"):
        container(manifest, "kiss", Asked.of("each"))
