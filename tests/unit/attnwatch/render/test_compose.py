import numpy as np
import pytest
from av.video.reformatter import Colorspace

from attnwatch.render.colormap import YuvTables, yuv_tables
from attnwatch.render.colours import Colours
from attnwatch.render.compose import FINE_LEVELS, Enlarged, HeatPainter, pixels
from tests.unit.attnwatch.render import reference
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


@pytest.mark.parametrize("upsampling", ["bilinear", "nearest", "lanczos"])
@pytest.mark.parametrize("cells", range(1, 10))
def test_however_few_rows_or_columns_a_map_has_it_is_enlarged_as_asked(cells, upsampling):
    rng = np.random.default_rng(cells)
    size = (cells * 24, 144) if upsampling == "nearest" else (130, 98)  # else centres of pixels are on edges of cells
    for shape in ((cells, 12), (12, cells), (cells, cells)):
        values = rng.uniform(0.3, 0.7, shape)  # where Lanczos kernels overshoot, swscale cuts rows before columns
        width, height = size if shape[1] == cells else size[::-1]
        if shape == (cells, cells):
            height = width
        map_ = Enlarged(HeatPainter(width, height, IDENTITY, upsampling), values.astype(np.float32))
        exact = getattr(reference, upsampling)
        for found in (map_.fine() / (FINE_LEVELS - 1), *(grey / 255 for grey in map_.greys[:2])):
            assert np.abs(found - exact(values, *found.shape)).max() < (0.02 if upsampling == "lanczos" else 0.01)


@pytest.mark.parametrize("upsampling", ["bilinear", "nearest", "lanczos"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_map_of_the_size_of_the_picture_or_of_its_chroma_is_shown_as_it_is(times, upsampling):
    values = np.random.default_rng(1).random((24, 32)).astype(np.float32)
    values.flat[:2] = 0, 1
    enlarged = Enlarged(HeatPainter(32 * times, 24 * times, IDENTITY, upsampling), values)
    plane = enlarged.greys[times - 1]
    assert np.abs(plane / 255 - values).max() <= 0.5 / 255 + 1e-6
    if times == 1:
        assert np.abs(enlarged.fine() / (FINE_LEVELS - 1) - values).max() <= 1 / (FINE_LEVELS - 1)


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
