import matplotlib
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from attnwatch.render.colormap import rgb_to_yuv, yuv_tables
from attnwatch.render.colours import Colours

INVERSE = {  # ITU-R BT.601 and BT.709, from limited-range YUV, written independently of the code
    Colorspace.ITU601: (1.402, 0.344136, 0.714136, 1.772),
    Colorspace.ITU709: (1.5748, 0.187324, 0.468124, 1.8556),
}


def to_rgb(y, u, v, matrix):
    red, green_u, green_v, blue = INVERSE[matrix]
    luma, u, v = (y - 16.0) / 219, (u - 128.0) / 224, (v - 128.0) / 224
    return 255 * np.stack([luma + red * v, luma - green_u * u - green_v * v, luma + blue * u], axis=-1)


@pytest.mark.parametrize("matrix", INVERSE)
@pytest.mark.parametrize("name", ["hot", "viridis", "inferno", "magma", "turbo", "gray"])
def test_every_level_matches_the_matplotlib_colour_within_rounding(name, matrix):
    tables = yuv_tables(name, Colours.of_matrix(matrix))
    planes = [np.frombuffer(plane, np.uint8) for plane in tables.planes]
    expected = matplotlib.colormaps[name](np.arange(256))[:, :3] * 255
    assert np.abs(to_rgb(*planes, matrix) - expected).max() < 2.0
    assert np.abs(to_rgb(*planes, matrix) - expected).mean() < 0.5


@pytest.mark.parametrize(
    ("rgb", "yuv"), [((0, 0, 0), (16, 128, 128)), ((1, 1, 1), (235, 128, 128)), ((1, 0, 0), (63, 102, 240))]
)
def test_primary_colours_have_the_values_of_the_standard(rgb, yuv):
    planes = rgb_to_yuv(np.array(rgb, dtype=float), Colours.of_matrix(Colorspace.ITU709))
    assert tuple(int(plane) for plane in planes) == yuv


def test_a_colormap_with_fewer_colours_than_levels_is_accepted():
    assert len(set(yuv_tables("tab10", Colours.of_matrix(Colorspace.ITU709)).y)) <= 10


def test_a_colormap_looks_the_same_in_wide_primaries():
    """The levels, read as BT.2020 and converted to BT.709 as in BT.2087-0, are matplotlib's colours."""
    tables = yuv_tables("turbo", Colours.of_matrix(Colorspace.BT2020))
    y, u, v = (np.frombuffer(plane, np.uint8).astype(float) for plane in tables.planes)
    luma, u, v = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    rgb = np.stack([luma + 1.4746 * v, luma - 0.16455 * u - 0.57135 * v, luma + 1.8814 * u], axis=-1)
    to_bt709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
    shown = np.clip(np.clip(rgb, 0, 1) ** 2.4 @ to_bt709.T, 0, 1) ** (1 / 2.4)
    expected = matplotlib.colormaps["turbo"](np.arange(256))[:, :3]
    assert np.abs(shown - expected).mean() < 0.01
