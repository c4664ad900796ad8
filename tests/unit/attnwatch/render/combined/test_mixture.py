import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from hypothesis import given, settings
from hypothesis import strategies as st

from attnwatch.render.colormap import rgb_to_yuv, yuv_tables
from attnwatch.render.colours import Colours
from attnwatch.render.combined.hues import hues_rgb
from attnwatch.render.combined.mixture import Mixture
from attnwatch.render.compose import Enlarged, HeatPainter, pixels
from tests.unit.attnwatch.render.reference import bilinear

COLOURS = Colours.of_matrix(Colorspace.ITU709)
TABLES = yuv_tables("viridis", COLOURS)


def random_frame(rng, width, height):
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        pixels(plane)[:] = rng.integers(16, 236, (plane.height, plane.width))
    return frame


def bt709(rgb):
    """Return Y, U and V of R, G and B, `[..., 3]`, 0..1."""
    luma = rgb @ [0.2126, 0.7152, 0.0722]
    return 16 + 219 * luma, 128 + 224 * (rgb[..., 2] - luma) / 1.8556, 128 + 224 * (rgb[..., 0] - luma) / 1.5748


def mixed(source, maps, size, *, alpha=0.8, inverted=False):
    """Return each plane of the source and of the mixture as float64, with the maps in its size: `[word, ...]`."""
    painter = HeatPainter(*size, TABLES)
    mixture = Mixture(hues_rgb(len(maps)), alpha, COLOURS, inverted=inverted)
    result = mixture.over(source, [Enlarged(painter, map_.astype(np.float32)) for map_ in maps])
    for below, plane in zip(source.planes, result.planes, strict=True):
        above = pixels(plane).astype(float)
        shares = np.stack([bilinear(map_, *above.shape) for map_ in maps])
        yield pixels(below)[: plane.height, : plane.width].astype(float), above, shares


@pytest.mark.parametrize("words", [1, 2, 3, 6])
@settings(max_examples=10, deadline=None)
@given(alpha=st.floats(0, 1), seed=st.integers(0, 2**32 - 1), inverted=st.booleans())
def test_opacity_follows_the_highest_attention_and_hues_mix_like_lights(words, alpha, seed, inverted):
    rng = np.random.default_rng(seed)
    maps = rng.uniform(0.2, 0.8, (words, 5, 4))
    planes = mixed(random_frame(rng, 66, 50), maps, (66, 50), alpha=alpha, inverted=inverted)
    for number, (below, above, shares) in enumerate(planes):
        attention = 1 - shares if inverted else shares
        opacity = alpha * attention.max(axis=0)
        brightness = attention**2 / (attention**2).max(axis=0)
        dark = [1 - word[..., None] * hue for word, hue in zip(brightness, hues_rgb(words), strict=True)]
        colour = bt709(1 - np.prod(dark, axis=0))[number]
        # A level of the maps changes the opacity by 1/255 and, from a share of 0.2 on, the colour by up to 3 levels.
        assert np.abs(above - ((1 - opacity) * below + opacity * colour)).max() <= 5


def test_what_two_words_have_in_common_is_lighter_than_both_hues_and_not_grey():
    source = random_frame(np.random.default_rng(0), 64, 48)
    means = []
    for shares in ([1, 0], [0, 1], [1, 1]):
        planes = mixed(source, np.broadcast_to(shares, (4, 5, 2)).T, (64, 48), alpha=1)
        means.append([above.mean() for _, above, _ in planes])
    alone, other, both = means
    assert both[0] > max(alone[0], other[0]) + 20
    assert max(abs(both[1] - 128), abs(both[2] - 128)) > 10


@pytest.mark.parametrize("inverted", [False, True])
def test_where_no_word_has_attention_the_source_is_untouched(inverted):
    source = random_frame(np.random.default_rng(0), 64, 48)
    for below, above, _ in mixed(source, np.full((3, 4, 5), float(inverted)), (64, 48), inverted=inverted):
        np.testing.assert_array_equal(above, below)


def test_a_word_alone_at_its_maximum_has_its_own_hue():
    maps = np.zeros((6, 3, 4))
    maps[4] = 1
    source = random_frame(np.random.default_rng(0), 64, 48)
    for number, (_, above, _) in enumerate(mixed(source, maps, (64, 48), alpha=1)):
        assert (above == rgb_to_yuv(hues_rgb(6), COLOURS)[number][4]).all()


def test_the_odd_last_row_and_column_of_a_source_are_cropped():
    planes = mixed(random_frame(np.random.default_rng(0), 66, 50), np.random.default_rng(1).random((2, 5, 4)), (64, 48))
    assert [above.shape for _, above, _ in planes] == [(48, 64), (24, 32), (24, 32)]
