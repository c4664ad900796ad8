import numpy as np
import pytest

from attnwatch.render.gamut import from_srgb, to_srgb

BT2020, DISPLAY_P3 = 9, 12
PUBLISHED = {  # from linear BT.709: ITU-R BT.2087-0, section 2, and Display P3 as in CSS Color 4
    BT2020: [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]],
    DISPLAY_P3: [[0.8225, 0.1774, 0.0000], [0.0332, 0.9669, 0.0000], [0.0171, 0.0724, 0.9105]],
}
COLOURS = np.stack(np.meshgrid(*[np.linspace(0, 1, 6)] * 3), axis=-1)


@pytest.mark.parametrize("primaries", PUBLISHED)
def test_light_is_multiplied_by_the_published_matrix(primaries):
    light = COLOURS**2.4
    expected = light @ np.array(PUBLISHED[primaries]).T
    assert from_srgb(COLOURS, primaries) ** 2.4 == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("primaries", PUBLISHED)
def test_srgb_comes_back(primaries):
    assert to_srgb(from_srgb(COLOURS, primaries), primaries) == pytest.approx(COLOURS, abs=1e-6)


@pytest.mark.parametrize("primaries", PUBLISHED)
@pytest.mark.parametrize("convert", [from_srgb, to_srgb])
def test_greys_stay(convert, primaries):
    greys = np.repeat(np.linspace(0, 1, 256)[:, None], 3, axis=1)
    assert convert(greys, primaries) == pytest.approx(greys, abs=1e-6)


def test_a_colour_beyond_srgb_is_the_most_saturated_one_there():
    assert to_srgb(np.array([0.0, 1.0, 0.0]), BT2020) == pytest.approx([0, 1, 0])


@pytest.mark.parametrize("primaries", [1, 5, 6, 22])
@pytest.mark.parametrize("convert", [from_srgb, to_srgb])
def test_colours_of_other_primaries_are_kept_bit_for_bit(convert, primaries):
    assert convert(COLOURS, primaries) is COLOURS
