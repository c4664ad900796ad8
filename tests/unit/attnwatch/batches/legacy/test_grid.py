import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnwatch.batches.legacy.grid import Size, latent_grid

UNKNOWN = Size()
WAN = Size(81, 480, 832)
WAN_GRID = (21, 30, 52)
sizes = st.builds(Size, st.integers(1, 200), st.integers(16, 1500), st.integers(16, 2000))


@given(sizes, st.sampled_from(["recorded", "video", "both"]))
def test_the_size_of_the_video_determines_the_grid_whatever_its_source(size, where):
    grid = ((size.frames - 1) // 4 + 1, size.height // 16, size.width // 16)
    recorded, video = (size if where in (place, "both") else UNKNOWN for place in ("recorded", "video"))
    assert latent_grid(grid[0] * grid[1] * grid[2], recorded, video) == grid


def test_the_recorded_size_takes_precedence():
    transposed = Size(81, 832, 480)
    assert latent_grid(21 * 30 * 52, transposed, WAN) == (21, 52, 30)


def test_the_video_decides_if_the_recorded_size_does_not_match_the_length():
    assert latent_grid(21 * 30 * 52, Size(49, 480, 832), WAN) == WAN_GRID


def test_missing_values_are_taken_from_the_other_size():
    assert latent_grid(21 * 30 * 52, Size(frames=81), Size(height=480, width=832)) == WAN_GRID


def test_downscaled_maps_have_the_one_grid_that_fits_the_aspect_ratio():
    assert latent_grid(21 * 15 * 26, WAN, WAN) == (21, 15, 26)


@pytest.mark.parametrize(
    ("spatial", "size", "named"),
    [
        (21 * 30 * 52, UNKNOWN, "1 x 1 x 32760"),
        (4, Size(2, 32, 32), "1 x 2 x 2"),
    ],
)
def test_several_grids_that_fit_are_listed_and_none_is_chosen(spatial, size, named):
    wrong = size._replace(frames=None)
    with pytest.raises(ValueError, match=f"fit several grids .*{named}.*"):
        latent_grid(spatial, UNKNOWN, wrong)


def test_a_length_that_fits_no_grid_is_refused():
    with pytest.raises(ValueError, match=r"32,771 values per map, which fit no grid .* 81 x 480 x 832"):
        latent_grid(32_771, WAN, WAN)  # a prime


@given(st.integers(1, 40_000), sizes)
def test_the_chosen_grid_always_multiplies_to_the_length(spatial, size):
    with contextlib.suppress(ValueError):
        frames, height, width = latent_grid(spatial, UNKNOWN, size)
        assert frames * height * width == spatial
