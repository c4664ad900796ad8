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
def test_the_size_of_the_video_gives_the_grid_wherever_it_is_known_from(size, where):
    grid = ((size.frames - 1) // 4 + 1, size.height // 16, size.width // 16)
    recorded, video = (size if where in (place, "both") else UNKNOWN for place in ("recorded", "video"))
    assert latent_grid(grid[0] * grid[1] * grid[2], recorded, video) == grid


def test_what_is_recorded_comes_first():
    turned = Size(81, 832, 480)
    assert latent_grid(21 * 30 * 52, turned, WAN) == (21, 52, 30)


def test_the_video_decides_where_what_is_recorded_does_not_multiply_to_the_length():
    assert latent_grid(21 * 30 * 52, Size(49, 480, 832), WAN) == WAN_GRID


def test_what_one_of_them_lacks_is_taken_from_the_other():
    assert latent_grid(21 * 30 * 52, Size(frames=81), Size(height=480, width=832)) == WAN_GRID


def test_maps_that_were_made_smaller_have_the_one_grid_of_the_videos_shape():
    assert latent_grid(21 * 15 * 26, WAN, WAN) == (21, 15, 26)


@pytest.mark.parametrize(
    ("spatial", "size", "named"),
    [
        (21 * 30 * 52, UNKNOWN, "1 x 1 x 32760"),
        (4, Size(2, 32, 32), "1 x 2 x 2"),
    ],
)
def test_several_grids_that_fit_are_named_and_none_is_taken(spatial, size, named):
    wrong = size._replace(frames=None)
    with pytest.raises(ValueError, match=f"fit several grids .*{named}.*"):
        latent_grid(spatial, UNKNOWN, wrong)


def test_a_length_that_no_grid_has_is_refused():
    with pytest.raises(ValueError, match=r"32,771 values per map, which fit no grid .* 81 x 480 x 832"):
        latent_grid(32_771, WAN, WAN)  # a prime


@given(st.integers(1, 40_000), sizes)
def test_what_is_taken_always_multiplies_to_the_length(spatial, size):
    with contextlib.suppress(ValueError):
        frames, height, width = latent_grid(spatial, UNKNOWN, size)
        assert frames * height * width == spatial
