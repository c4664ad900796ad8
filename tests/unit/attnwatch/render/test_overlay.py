import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from hypothesis import given, settings
from hypothesis import strategies as st

from attnwatch.render.colormap import yuv_tables
from attnwatch.render.colours import Colours
from attnwatch.render.compose import Enlarged, HeatPainter, pixels
from attnwatch.render.overlay import CONTOURS, overlay
from tests.unit.attnwatch.render.reference import bilinear

TABLES = yuv_tables("viridis", Colours.of_matrix(Colorspace.ITU709))
STYLES = ["weighted", "uniform", "contour", "spotlight"]
sides = st.sampled_from([(32, 16), (66, 50), (100, 60)])


def random_frame(rng, width, height):
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        pixels(plane)[:] = rng.integers(16, 236, (plane.height, plane.width))
    return frame


def laid_over(style, source, shares, size, *, alpha=0.8, inverted=False, upsampling="bilinear"):
    """Return the planes of the source and of the overlay, as float64, and the map in the size of each."""
    painter = HeatPainter(*size, TABLES, upsampling)
    result = overlay(style, TABLES, alpha, inverted=inverted).over(source, Enlarged(painter, shares.astype(np.float32)))
    planes = []
    for below, plane in zip(source.planes, result.planes, strict=True):
        above = pixels(plane).astype(float)
        planes.append(
            (pixels(below)[: plane.height, : plane.width].astype(float), above, bilinear(shares, *above.shape))
        )
    return planes


def table_of(plane):
    return np.frombuffer(TABLES.planes[plane], np.uint8).astype(float)


def colour_at(plane, shares):
    return np.interp(shares * 255, np.arange(256), table_of(plane))


@pytest.mark.parametrize("style", ["weighted", "uniform", "spotlight"])
@settings(max_examples=20, deadline=None)
@given(alpha=st.floats(0, 1), seed=st.integers(0, 2**32 - 1), size=sides, inverted=st.booleans())
def test_every_plane_is_the_weighted_mean_of_source_and_colour(style, alpha, seed, size, inverted):
    rng = np.random.default_rng(seed)
    maps = rng.random((5, 4))
    planes = laid_over(style, random_frame(rng, *size), maps, size, alpha=alpha, inverted=inverted)
    for number, (below, above, shares) in enumerate(planes):
        attention = 1 - shares if inverted else shares
        weight = {"weighted": alpha * attention, "uniform": alpha, "spotlight": alpha * (1 - attention)}[style]
        colour = (16, 128, 128)[number] if style == "spotlight" else colour_at(number, shares)
        # One level of the map for rounding it to 256 levels; half a level each for rounding the result and the weight.
        steepest = 255 / 255 + np.abs(np.diff(table_of(number))).max()
        assert np.abs(above - ((1 - weight) * below + weight * colour)).max() <= 1 + steepest


@pytest.mark.parametrize("inverted", [False, True])
def test_where_attention_is_lowest_a_weighted_overlay_is_the_source_itself(inverted):
    source = random_frame(np.random.default_rng(0), 64, 48)
    lowest = np.full((3, 4), float(inverted))
    for below, above, _ in laid_over("weighted", source, lowest, (64, 48), inverted=inverted):
        np.testing.assert_array_equal(above, below)


def test_where_attention_is_highest_a_spotlight_is_the_source_itself():
    source = random_frame(np.random.default_rng(0), 64, 48)
    for below, above, _ in laid_over("spotlight", source, np.ones((3, 4)), (64, 48)):
        np.testing.assert_array_equal(above, below)


def ramp(width, height):
    """Return a map that rises from left to right, and its value at each pixel."""
    return np.tile(np.linspace(0, 1, 5), (4, 1)), (width, height)


@pytest.mark.parametrize("inverted", [False, True])
def test_contours_are_where_attention_has_their_share_of_the_scale_and_nowhere_else(inverted):
    maps, size = ramp(160, 96)
    source = random_frame(np.random.default_rng(0), *size)
    (below, above, shares), *_ = laid_over("contour", source, maps, size, alpha=1, inverted=inverted)
    slope = np.maximum(np.gradient(shares, axis=1), 1e-9)
    for contour in CONTOURS:
        share = 1 - contour if inverted else contour
        distance = np.abs(shares - share) / slope  # in pixels
        line, outline = (np.clip(width / 2 + 0.5 - distance, 0, 1) for width in (1.5, 3.5))
        around = 16 if colour_at(0, share) > 126 else 235  # a coloured line over a black or white one
        drawn = line * colour_at(0, share) + (1 - line) * around
        expected = (1 - outline) * below + outline * drawn
        assert (line > 0.5).any()
        assert np.abs(above - expected)[distance < 3].max() <= 5
    far = np.min([np.abs(shares - share) for share in CONTOURS], axis=0) / slope > 3
    np.testing.assert_array_equal(above[far], below[far])


def test_a_contour_is_antialiased_and_as_wide_as_the_size_of_the_video_asks_for():
    width, height = size = (1600, 960)
    maps, _ = ramp(*size)
    source = random_frame(np.random.default_rng(0), *size)
    for plane in source.planes:
        pixels(plane)[:] = 235  # as white as the outline
    (_, above, _), *_ = laid_over("contour", source, maps, size, alpha=1)
    across = (above - 235)[height // 2, width // 2 - 40 : width // 2 + 40] / (colour_at(0, 0.5) - 235)
    assert across.sum() == pytest.approx(height / 200, abs=0.3)
    assert ((across > 0.05) & (across < 0.95)).any()


@pytest.mark.parametrize("footage", [16, 40, 80, 126, 180, 235])
def test_all_contours_are_seen_on_dark_and_bright_footage(footage):
    maps, size = ramp(160, 96)
    source = random_frame(np.random.default_rng(0), *size)
    for plane in source.planes:
        pixels(plane)[:] = footage
    (_, above, shares), *_ = laid_over("contour", source, maps, size, alpha=0.8)
    for contour in CONTOURS:
        near = np.abs(shares - contour) < 0.05
        assert np.abs(above - footage)[near].max() > 30


def test_a_map_without_contrast_has_no_contours():
    source = random_frame(np.random.default_rng(0), 64, 48)
    for contour in (0.0, *CONTOURS):
        for below, above, _ in laid_over("contour", source, np.full((3, 4), contour), (64, 48)):
            np.testing.assert_array_equal(above, below)


@pytest.mark.parametrize("style", STYLES)
def test_the_odd_last_row_and_column_of_a_source_are_cropped(style):
    source = random_frame(np.random.default_rng(0), 66, 50)
    planes = laid_over(style, source, np.random.default_rng(1).random((5, 4)), (64, 48))
    assert [above.shape for _, above, _ in planes] == [(48, 64), (24, 32), (24, 32)]


@pytest.mark.parametrize("style", STYLES)
def test_without_opacity_every_overlay_is_the_source_itself(style):
    source = random_frame(np.random.default_rng(0), 64, 48)
    for below, above, _ in laid_over(style, source, np.random.default_rng(1).random((5, 4)), (64, 48), alpha=0):
        np.testing.assert_array_equal(above, below)
