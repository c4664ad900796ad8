import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from hypothesis import given, settings
from hypothesis import strategies as st

from attnwatch.render.colormap import YuvTables, yuv_tables
from attnwatch.render.colours import Colours
from attnwatch.render.compose import Blender, HeatPainter, pixels
from tests.unit.attnwatch.render.reference import bilinear

IDENTITY = YuvTables(*(bytes(range(256)),) * 3)


def smooth(rows, columns, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.random((3, 3))
    return bilinear(coarse, rows, columns)


def frame_of(y, u, v):
    frame = av.VideoFrame(y.shape[1], y.shape[0], "yuv420p")
    for plane, values in zip(frame.planes, (y, u, v), strict=True):
        pixels(plane)[:] = values
    return frame


@pytest.mark.parametrize("size", [(832, 480), (130, 98), (208, 120), (1280, 720)])
def test_a_map_is_enlarged_bilinearly(size):
    width, height = size
    values = smooth(30, 52)
    picture = HeatPainter(width, height, IDENTITY).paint(values.astype(np.float32))
    for plane in picture.planes:
        grey = pixels(plane)
        error = grey - 255 * bilinear(values, *grey.shape)
        assert np.abs(error).max() < 1.0
        assert np.abs(error).mean() < 0.3
        assert abs(error.mean()) < 0.1


def test_every_plane_uses_its_own_table():
    tables = yuv_tables("turbo", Colours.of_matrix(Colorspace.ITU709))
    for level in range(256):
        values = np.full((4, 4), level / 255, np.float32)
        picture = HeatPainter(32, 32, tables).paint(values)
        for plane, table in zip(picture.planes, tables.planes, strict=True):
            assert set(pixels(plane).ravel().tolist()) == {table[level]}


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1), st.integers(0, 2**32 - 1), st.sampled_from([(32, 16), (66, 50), (100, 60)]))
def test_the_blend_is_the_weighted_mean_in_every_plane(alpha, seed, size):
    rng = np.random.default_rng(seed)
    width, height = size
    shapes = [(height, width), (height // 2, width // 2), (height // 2, width // 2)]
    source = [rng.integers(0, 256, shape).astype(np.uint8) for shape in shapes]
    heat = [rng.integers(0, 256, shape).astype(np.uint8) for shape in shapes]
    mixed = Blender(alpha).blend(frame_of(*source), frame_of(*heat))
    for plane, below, above in zip(mixed.planes, source, heat, strict=True):
        expected = (1 - alpha) * below.astype(float) + alpha * above
        assert np.abs(pixels(plane) - expected).max() <= 1.0  # half a level each for rounding the result and the weight


def test_the_odd_last_row_and_column_of_a_source_are_cropped():
    big = frame_of(*(np.full(shape, 100, np.uint8) for shape in [(50, 66), (25, 33), (25, 33)]))
    small = frame_of(*(np.full(shape, 200, np.uint8) for shape in [(48, 64), (24, 32), (24, 32)]))
    mixed = Blender(0.5).blend(big, small)
    assert (mixed.width, mixed.height) == (64, 48)
    assert all((pixels(plane) == 150).all() for plane in mixed.planes)
