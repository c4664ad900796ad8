import numpy as np
import pytest
from av.video.reformatter import Colorspace

from attnwatch.render.colormap import YuvTables, yuv_tables
from attnwatch.render.colours import Colours
from attnwatch.render.compose import HeatPainter, pixels
from tests.unit.attnwatch.render.reference import bilinear

IDENTITY = YuvTables(*(bytes(range(256)),) * 3)


def smooth(rows, columns, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.random((3, 3))
    return bilinear(coarse, rows, columns)


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


def test_the_nearest_cell_is_shown_as_it_is():
    values = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    picture = HeatPainter(64, 48, IDENTITY, "nearest").paint(values)
    for plane, cell in zip(picture.planes, (16, 8, 8), strict=True):
        cells = np.rint(255 * values).repeat(cell, axis=0).repeat(cell, axis=1)
        assert np.abs(pixels(plane) - cells).max() <= 1


def test_lanczos_is_sharper_than_bilinear_and_stays_within_the_colormap():
    values = np.zeros((5, 8), np.float32)
    values[2, 4] = 1
    bilinear_, lanczos = (
        pixels(HeatPainter(256, 160, IDENTITY, how).paint(values).planes[0]).astype(float)
        for how in ("bilinear", "lanczos")
    )
    assert (lanczos > 128).sum() > 1.2 * (bilinear_ > 128).sum()
    assert (lanczos.min(), lanczos.max()) == (0, 255)
