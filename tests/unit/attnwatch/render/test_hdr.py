import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, ColorTrc

from attnwatch.render.hdr import compressed, nits_to_pq, pq_to_nits, to_bt709
from tests.unit.attnwatch.render import lattice

BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593])


def frame_of(signal, transfer):
    """Return a 10-bit BT.2020 frame of one colour, given by its non-linear R'G'B', 0..1."""
    red, _, blue = signal
    luma = signal @ BT2020_LUMA
    codes = (64 + 876 * luma, 512 + 896 * (blue - luma) / 1.8814, 512 + 896 * (red - luma) / 1.4746)
    frame = av.VideoFrame(64, 48, "yuv420p10le")
    for plane, code in zip(frame.planes, codes, strict=True):
        rows = np.full((plane.height, plane.line_size // 2), round(code), np.uint16)
        plane.update(rows.tobytes())
    frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc = ColorRange.MPEG, 9, 9, transfer
    return frame


def shown(signal, transfer=ColorTrc.SMPTE2084):
    return to_bt709(frame_of(np.asarray(signal, float), transfer), transfer).to_ndarray()[20, 20].astype(int)


def grey(nits):
    return np.full(3, nits_to_pq(np.array(nits)))


@pytest.mark.parametrize(
    ("nits", "signal"), [(0, 0), (0.1, 0.0623), (10, 0.2997), (100, 0.5081), (203, 0.5807), (1000, 0.7518), (10_000, 1)]
)
def test_pq_matches_the_published_values(nits, signal):
    """Table 1 of BT.2408-7, and the ends."""
    assert nits_to_pq(np.array(float(nits))) == pytest.approx(signal, abs=2e-3)
    assert pq_to_nits(nits_to_pq(np.array(float(nits)))) == pytest.approx(nits, rel=1e-6, abs=1e-4)


def test_a_picture_of_any_size_is_mapped_row_by_row():
    """Rows of such widths are padded, and the last ones are fewer."""
    signal = np.random.default_rng(0).integers(0, 2**16, (133, 50, 3), np.uint16)
    frame = av.VideoFrame.from_ndarray(signal, format="rgb48le")
    whole = to_bt709(frame, ColorTrc.SMPTE2084).to_ndarray()
    for row in (0, 31, 32, 132):
        alone = av.VideoFrame.from_ndarray(signal[row : row + 1], format="rgb48le")
        assert (to_bt709(alone, ColorTrc.SMPTE2084).to_ndarray()[0] == whole[row]).all()


def test_dark_and_middle_tones_are_kept_and_highlights_are_compressed():
    for nits in (1, 10, 50, 90):
        assert shown(grey(nits)) == pytest.approx(255 * (nits / 203) ** (1 / 2.4), abs=2)
    assert 220 < shown(grey(203)).max() < 240
    assert shown(grey(1000)).tolist() == shown(grey(10_000)).tolist() == [255, 255, 255]


def test_compression_grows_steadily_from_black_to_white():
    light = compressed(np.linspace(0, 1000, 2000))
    assert (np.diff(light) > 0).all()
    assert (light[0], light[-1]) == (0, pytest.approx(203))


@pytest.mark.parametrize(("signal", "level"), [(0, 0), (0.5, 143), (0.75, 230), (1, 255)])
def test_hlg_is_shown_as_a_display_of_1000_nits_would(signal, level):
    """75 % is reference white, which PQ codes as 203 cd/m2: BT.2408-7, table 1."""
    assert shown(np.full(3, signal), ColorTrc.ARIB_STD_B67) == pytest.approx(level, abs=2)


@pytest.mark.parametrize("transfer", [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_hues_stay(transfer, channel):
    signal = np.full(3, 0.2)
    signal[channel] = 0.55
    levels = shown(signal, transfer)
    assert levels.argmax() == channel
    assert levels[channel] > np.delete(levels, channel).max() + 60


def test_the_primaries_of_bt709_are_found_again():
    """Pure BT.709 red, converted to BT.2020 with the matrix of BT.2087-0."""
    red = np.array([0.6274, 0.0691, 0.0164]) * 80
    levels = shown(nits_to_pq(red))
    assert levels[0] == pytest.approx(255 * (80 / 203) ** (1 / 2.4), abs=4)
    assert levels[1:].max() < 30


def published(signal, transfer):
    """Return the levels of BT.709 of signals, `[colour, 3]`, 0..1, in float64."""
    if transfer == ColorTrc.SMPTE2084:
        display = pq_to_nits(signal)
        brightest = display.max(axis=1)
    else:
        scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        display = 1000 * scene * np.maximum(scene @ BT2020_LUMA, 1e-12)[:, None] ** 0.2
        brightest = display.max(axis=1).clip(0, 1000)
    light = display / 203 * (compressed(brightest) / np.maximum(brightest, 1e-9))[:, None]
    to_bt709_primaries = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    return 255 * (light @ np.transpose(to_bt709_primaries)).clip(0, 1) ** (1 / 2.4)


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("transfer", [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67], ids=["PQ", "HLG"])
def test_pictures_are_mapped_without_bias(transfer, full):
    matrix = Colorspace.BT2020
    yuv = lattice.coded(matrix, bits=10, full=full)
    frame = lattice.yuv_picture(yuv, "yuv420p10le", matrix=matrix, full=full)
    signal = lattice.to_rgb(yuv, matrix, bits=10, full=full) / 255
    bias, largest = lattice.errors(to_bt709(frame, transfer).to_ndarray(), published(signal, transfer))
    assert bias == pytest.approx([0, 0, 0], abs=0.05)
    assert largest < 3.5  # near black, where a step of 10 bits is several levels of 8
