import numpy as np
import pytest
from av.video.reformatter import Colorspace

from attnwatch.contract.kinds import OutputKind
from attnwatch.render.colormap import yuv_tables
from attnwatch.render.colour_bars import colour_bar
from attnwatch.render.colours import Colours
from attnwatch.render.compose import HeatPainter, pixels
from attnwatch.render.maps import Scale, to_levels
from attnwatch.settings import Visualization

TABLES = yuv_tables("viridis", Colours.of_matrix(Colorspace.ITU601))
RAMP = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
SIZE = (16, 256)


def planes(frame):
    return [pixels(plane).astype(int) for plane in frame.planes]


def bar(kind=OutputKind.ATTENTION, **settings):
    return colour_bar(kind, Scale(0, 1), Visualization(**settings), TABLES)


@pytest.mark.parametrize("settings", [{}, {"invert": True}, {"threshold": 0.41}, {"normalization": "frame"}])
def test_a_bar_has_the_colours_of_maps_with_the_same_settings(settings):
    maps = RAMP[None] * np.float32(0.5) + np.float32(0.25)
    shown = HeatPainter(*SIZE, TABLES).paint(to_levels(maps, Visualization(**settings)).shares[0])
    for one, other in zip(planes(bar(**settings).painted(RAMP, SIZE)), planes(shown), strict=True):
        assert np.abs(one - other).max() <= 1


def test_set_ends_of_the_scale_do_not_change_the_colours():
    shown, usual = (planes(made.painted(RAMP, SIZE)) for made in (bar(vmin=3, vmax=4), bar()))
    for one, other in zip(shown, usual, strict=True):
        assert (one == other).all()


@pytest.mark.parametrize("style", ["weighted", "uniform", "contour", "spotlight"])
def test_the_bar_of_an_overlay_shows_how_much_of_the_video_is_covered(style):
    shown = bar(OutputKind.OVERLAY, overlay=style, overlay_alpha=1)
    luma = planes(shown.painted(RAMP, SIZE))[0]
    squares = np.ptp(luma, axis=1)  # between squares that stand for the video, as far as they are visible
    visible = {
        "weighted": squares[4] > 30 and squares[-4] < 5,
        "uniform": squares.max() < 5,
        "contour": squares[4] > 30 and min(squares[60:70]) < 5 and squares[96] > 30,
        "spotlight": squares[4] < 5 and squares[-4] > 30,
    }
    assert visible[style]
    assert shown.labels[0] != bar().labels[0]


def test_the_label_says_when_each_frame_has_its_own_scale():
    assert "extremes of all frames" in bar(normalization="frame").labels[0].text()


def test_no_bar_is_drawn_if_none_is_asked_for():
    assert bar(include_colorbar=False) is None
