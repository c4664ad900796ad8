import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnwatch.contract.documents import Grid
from attnwatch.render.maps import Scale, TimeMapping, to_levels
from attnwatch.settings import Visualization

RAMP = np.linspace(0.1, 0.9, 3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)


def one_value_per_frame(values):
    return np.array(values, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)


class TestTimeMapping:
    def test_the_first_latent_frame_of_a_causal_model_covers_only_video_frame_0(self):
        mapping = TimeMapping(4, causal=True)
        assert mapping.last(np.arange(3.0)).tolist() == [0, 4, 8]
        assert mapping.middle(np.arange(3.0)).tolist() == [0, 2.5, 6.5]

    def test_without_causality_every_latent_frame_covers_the_same_number_of_video_frames(self):
        mapping = TimeMapping(4, causal=False)
        assert mapping.last(np.arange(3.0)).tolist() == [3, 7, 11]
        assert mapping.middle(np.arange(3.0)).tolist() == [1.5, 5.5, 9.5]

    def test_the_grid_of_the_manifest_takes_precedence(self):
        grid = Grid(frames=21, height=1, width=1, temporal_stride=4, causal_first_frame=True)
        assert TimeMapping.of(21, 81, grid) == TimeMapping(4, causal=True)

    @pytest.mark.parametrize(
        ("latent", "video", "expected"),
        [
            (21, 81, TimeMapping(4, causal=True)),
            (16, 16, TimeMapping(1, causal=False)),
            (5, 20, TimeMapping(4, causal=False)),
            (1, 30, TimeMapping(30, causal=False)),
            (4, 10, TimeMapping(3, causal=True)),
            (4, 9, TimeMapping(2.25, causal=False)),
        ],
    )
    def test_without_a_grid_it_is_derived_from_the_numbers_of_frames(self, latent, video, expected):
        assert TimeMapping.of(latent, video, None) == expected

    @given(st.integers(1, 40), st.integers(1, 8), st.booleans())
    def test_the_latent_frames_cover_the_whole_video(self, latent, stride, causal):
        frames = stride * (latent - 1) + 1 if causal else stride * latent
        mapping = TimeMapping.of(
            latent, frames, Grid(frames=latent, height=1, width=1, temporal_stride=stride, causal_first_frame=causal)
        )
        last = mapping.last(np.arange(latent, dtype=float))
        assert last[-1] == frames - 1
        held = mapping.at(one_value_per_frame(range(latent)), np.arange(frames), 0)[:, 0, 0]
        covering = [next(i for i in range(latent) if frame <= last[i]) for frame in range(frames)]
        assert held.tolist() == covering


class TestResampling:
    mapping = TimeMapping(4, causal=True)
    latent = one_value_per_frame([0, 10, 20])

    def values(self, steps, frames=9):
        return self.mapping.at(self.latent, np.arange(frames), steps)[:, 0, 0]

    def test_smooth_interpolation_is_linear_between_the_middles_and_constant_outside(self):
        expected = np.interp(np.arange(9), [0, 2.5, 6.5], [0, 10, 20])
        assert self.values(None) == pytest.approx(expected)

    def test_0_steps_hold_each_latent_frame_for_the_frames_that_it_covers(self):
        assert self.values(0).tolist() == [0, 10, 10, 10, 10, 20, 20, 20, 20]

    @pytest.mark.parametrize("steps", [1, 3, 7])
    def test_n_steps_give_exactly_n_values_in_between(self, steps):
        fine = TimeMapping(400, causal=True).at(self.latent, np.arange(801), steps)[:, 0, 0]
        expected = np.linspace(0, 20, 2 * (steps + 1) + 1)
        assert np.unique(fine) == pytest.approx(expected, abs=1e-5)

    @given(st.integers(1, 12), st.integers(1, 60), st.integers(0, 5) | st.none())
    def test_interpolation_never_leaves_the_range_of_the_maps(self, latent, frames, steps):
        maps = np.random.default_rng(latent).random((latent, 2, 3), dtype=np.float32)
        result = TimeMapping.of(latent, frames, None).at(maps, np.arange(frames), steps)
        assert result.shape == (frames, 2, 3)
        assert result.min() >= maps.min() - 1e-6
        assert result.max() <= maps.max() + 1e-6


class TestLevels:
    def test_the_scale_spans_the_whole_video(self):
        levels = to_levels(RAMP, Visualization())
        assert levels.shares[0, 0, 0] == 0
        assert levels.shares[-1, -1, -1] == 1
        assert (levels.scale.low, levels.scale.high) == (pytest.approx(0.1), pytest.approx(0.9))

    def test_levels_are_proportional_to_attention(self):
        levels = to_levels(RAMP, Visualization()).shares
        assert levels == pytest.approx((RAMP - 0.1) / 0.8, abs=1e-5)

    def test_normalization_frame_spans_each_frame(self):
        levels = to_levels(RAMP, Visualization(normalization="frame"))
        assert levels.shares.min(axis=(1, 2)).tolist() == [0, 0, 0]
        assert levels.shares.max(axis=(1, 2)).tolist() == [1] * 3

    @pytest.mark.parametrize(("ends", "share", "scale"), [({"vmax": -5.0}, 1, -5.0), ({"vmin": 5.0}, 0, 5.0)])
    @pytest.mark.parametrize("normalization", ["video", "frame"])
    def test_an_end_beyond_all_values_stays_where_it_was_set(self, ends, share, scale, normalization):
        levels = to_levels(RAMP, Visualization(normalization=normalization, **ends))
        assert (levels.shares == share).all()
        assert levels.scale == Scale(scale, scale)

    def test_vmin_and_vmax_set_the_ends(self):
        levels = to_levels(RAMP, Visualization(vmin=0.0, vmax=0.5))
        assert (levels.scale.low, levels.scale.high) == (0.0, 0.5)
        assert levels.shares[0, 0, 0] == pytest.approx(0.2)
        assert levels.shares[-1, -1, -1] == 1

    def test_clip_takes_percentiles(self):
        levels = to_levels(RAMP, Visualization(clip=(10, 90)))
        low, high = np.percentile(RAMP, (10, 90))
        assert (levels.scale.low, levels.scale.high) == (pytest.approx(low), pytest.approx(high))

    def test_invert_swaps_the_ends(self):
        plain, inverted = to_levels(RAMP, Visualization()), to_levels(RAMP, Visualization(invert=True))
        assert plain.shares + inverted.shares == pytest.approx(1)
        assert (inverted.scale.low, inverted.scale.high) == (plain.scale.high, plain.scale.low)

    def test_threshold_zeroes_lower_values_and_keeps_the_rest(self):
        plain, cut = to_levels(RAMP, Visualization()).shares, to_levels(RAMP, Visualization(threshold=0.5)).shares
        share = (RAMP - 0.1) / 0.8
        assert (cut[share < 0.49] == 0).all()
        assert (cut[share > 0.51] == plain[share > 0.51]).all()

    @pytest.mark.parametrize("value", [0.0, 0.3])
    def test_maps_without_contrast_are_all_zero(self, value):
        assert not to_levels(np.full((2, 3, 3), value, np.float32), Visualization()).shares.any()


NAN = np.float32(np.nan)


@pytest.mark.parametrize("settings", [{}, {"normalization": "frame"}, {"clip": (0, 100)}, {"vmin": 0.0, "vmax": 1.0}])
def test_masked_cells_are_the_lower_end_and_change_nothing_else(settings):
    maps = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    maps[:, 0, 0], maps[:, 3, 4] = 0.0, 1.0
    whole = to_levels(maps, Visualization(nonfinite="mask", **settings))
    maps[1, 2, 3] = NAN
    found = to_levels(maps, Visualization(nonfinite="mask", **settings))
    assert found.shares[1, 2, 3] == 0
    others = np.ones(maps.shape, bool)
    others[1, 2, 3] = False
    np.testing.assert_array_equal(found.shares[others], whole.shares[others])
    assert found.scale == whole.scale


def test_if_all_cells_are_masked_the_picture_is_the_lower_end():
    found = to_levels(np.full((2, 3, 4), NAN), Visualization(nonfinite="mask"))
    assert not found.shares.any()
    assert (found.scale.low, found.scale.high) == (0, 0)


def test_a_masked_cell_is_masked_for_the_time_nearest_to_its_latent_frame():
    maps = np.ones((3, 1, 2), np.float32)
    maps[1, 0, 0] = NAN
    found = TimeMapping(4, causal=True).at(maps, np.arange(9))
    hidden = np.isnan(found[:, 0, 0]).tolist()
    assert True in hidden
    assert not hidden[0]
    assert not hidden[-1]
    assert not np.isnan(found[:, 0, 1]).any()
    np.testing.assert_array_equal(found[~np.isnan(found)], 1)


@pytest.mark.parametrize("ends", [(-1e308, 1e308), (-3e38, 3e38)])
def test_ends_at_the_limits_of_float32_give_pictures(ends):
    maps = np.array([[[0.0, np.finfo(np.float32).max]]], np.float32)
    found = to_levels(maps, Visualization(vmin=ends[0], vmax=ends[1]))
    np.testing.assert_allclose(found.shares, [[[0.5, 1.0]]])
    assert np.isfinite([found.scale.low, found.scale.high]).all()
