"""Maps enlarged in floating point, against an independent reference and against the painter of 8-bit pictures."""

import numpy as np
import pytest

from attnwatch.render.colormap import yuv_tables
from attnwatch.render.colours import Colours
from attnwatch.render.compose import FINE_LEVELS, Enlarged, HeatPainter
from attnwatch.render.enlarge import Enlarger
from tests.unit.attnwatch.render.reference import bilinear

SIZES = [((6, 8), (64, 48)), ((5, 7), (101, 67)), ((30, 52), (416, 240)), ((2, 2), (9, 7))]


def noise(grid):
    return np.random.default_rng(7).random(grid).astype(np.float32)


@pytest.mark.parametrize(("grid", "size"), SIZES)
def test_bilinear_is_the_reference_in_float32(grid, size):
    maps = noise(grid)
    expected = bilinear(maps.astype(np.float64), size[1], size[0])
    enlarged = Enlarger(grid, size, "bilinear")(maps)
    assert enlarged.dtype == np.float32
    np.testing.assert_allclose(enlarged, expected, rtol=5e-7)


@pytest.mark.parametrize(("upsampling", "tolerance"), [("bilinear", 4e-4), ("nearest", 1e-4), ("lanczos", 1e-3)])
@pytest.mark.parametrize(("grid", "size"), [((12, 16), (128, 96)), ((15, 26), (100, 66))])
def test_maps_lie_where_pictures_have_them(grid, size, upsampling, tolerance):
    maps = noise(grid) / 2 + 0.25
    painter = HeatPainter(*size, yuv_tables("viridis", Colours.usual(size[1])), upsampling)
    inside = (slice(30, -30), slice(30, -30)) if upsampling == "lanczos" else ...  # swscale cuts the kernel at edges
    found = Enlarger(grid, size, upsampling)(maps)[inside]
    np.testing.assert_allclose(found, Enlarged(painter, maps).fine()[inside] / (FINE_LEVELS - 1), atol=tolerance)


@pytest.mark.parametrize("upsampling", ["bilinear", "nearest", "lanczos"])
@pytest.mark.parametrize(("grid", "size"), [((1, 1), (5, 3)), ((1, 9), (64, 48)), ((40, 30), (9, 7)), ((6, 8), (8, 6))])
def test_a_map_of_one_value_stays_one_value_at_any_size(grid, size, upsampling):
    enlarged = Enlarger(grid, size, upsampling)(np.full(grid, 0.3, np.float32))
    assert enlarged.shape == size[::-1]
    np.testing.assert_allclose(enlarged, 0.3, rtol=3e-7)


def test_a_map_of_the_size_of_the_picture_stays_as_it_is():
    maps = noise((6, 8))
    for upsampling in ("bilinear", "nearest", "lanczos"):
        np.testing.assert_allclose(Enlarger((6, 8), (8, 6), upsampling)(maps), maps, rtol=1e-6)
