"""What becomes of the colours of a lattice, against float64: no channel is too dark or too bright on the whole."""

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from attnwatch.render.colours import ColourPlan, Colours, Converter, srgb
from attnwatch.render.planes import samples
from tests.unit.attnwatch.render import lattice

BIAS = 0.1  # levels
MATRICES = pytest.mark.parametrize("matrix", lattice.MATRICES, ids=lambda matrix: matrix.name)
DEPTHS = [("yuv420p", 8), ("yuv422p", 8), ("yuv444p", 8), ("yuv420p10le", 10), ("yuv444p10le", 10), ("yuv420p12le", 12)]


def converted(frame, matrix):
    return Converter(ColourPlan(Colours.of_matrix(matrix))).picture(frame)


@MATRICES
def test_pictures_become_rgb_without_bias(matrix):
    yuv = lattice.coded(matrix)
    shown = srgb(lattice.yuv_picture(yuv, matrix=matrix), Colours.of_matrix(matrix, primaries=1))
    bias, largest = lattice.errors(shown, lattice.to_rgb(yuv, matrix))
    assert bias == pytest.approx([0, 0, 0], abs=BIAS)
    assert largest < 0.6


@MATRICES
def test_rgb_sources_become_yuv_without_bias(matrix):
    bias, largest = lattice.errors(converted(lattice.rgb_picture(), matrix), lattice.to_yuv(lattice.COLOURS, matrix))
    assert bias == pytest.approx([0, 0, 0], abs=BIAS)
    assert largest < 0.6


@pytest.mark.parametrize(("pixel_format", "bits"), DEPTHS)
def test_full_range_sources_become_limited_without_bias(pixel_format, bits):
    matrix = Colorspace.ITU709
    yuv = lattice.coded(matrix, bits=bits, full=True)
    found = converted(lattice.yuv_picture(yuv, pixel_format, matrix=matrix, full=True), matrix)
    zero, highest = np.array([0, 1, 1]) * (1 << (bits - 1)), (1 << bits) - 1
    expected = (yuv - zero) / highest * [219, 224, 224] + [16, 128, 128]
    bias, largest = lattice.errors(found, expected)
    assert bias == pytest.approx([0, 0, 0], abs=BIAS)
    assert largest <= 0.51


@pytest.mark.parametrize(("pixel_format", "bits"), DEPTHS)
def test_limited_range_sources_become_8_bits_without_bias(pixel_format, bits):
    matrix = Colorspace.ITU709
    yuv = lattice.coded(matrix, bits=bits)
    found = converted(lattice.yuv_picture(yuv, pixel_format, matrix=matrix), matrix)
    bias, largest = lattice.errors(found, yuv / (1 << (bits - 8)))
    assert bias == pytest.approx([0, 0, 0], abs=BIAS)
    assert largest <= 1


@pytest.mark.parametrize(
    "pixel_format", ["gray", "gray10le", "gray16be", "grayf32le", "monob", "ya8", "nv12", "p010le"]
)
def test_full_range_sources_of_any_kind_are_shown(pixel_format):
    white = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 255, np.uint8), format="rgb24")
    frame = white.reformat(format=pixel_format, dst_color_range=ColorRange.JPEG)
    frame.color_range = ColorRange.JPEG
    luma, *chroma = (samples(plane, np.uint8) for plane in converted(frame, Colorspace.ITU709).planes)
    assert np.unique(luma).tolist() == [235]
    assert np.unique(chroma) == pytest.approx(128, abs=1)
