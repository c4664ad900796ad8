from fractions import Fraction

import pytest

from attnwatch.errors import ConfigError
from attnwatch.render.colours import Colours
from attnwatch.render.plots.moments import Moment, evenly, middle, moments
from attnwatch.render.timeline import Timeline


def timeline(frames=49, rate=16, times=()):
    return Timeline(64, 48, frames, Fraction(rate), Fraction(1, 1000), Colours.usual(48), times=times)


@pytest.mark.parametrize(
    ("at", "frame"),
    [
        ("1.5s", 24),
        ("1.5 s", 24),
        ("1.5", 24),
        (1.5, 24),
        (1, 16),
        (".5s", 8),
        ("0.31", 5),  # as a figure writes 0.3125 s
        ("0", 0),
        ("3.06s", 48),
        ("frame:24", 23),
        ("frame 24", 23),
        ("24f", 23),
        ("1f", 0),
        ("49f", 48),
    ],
)
def test_a_moment_is_a_time_in_seconds_or_the_number_of_a_frame_from_1(at, frame):
    assert moments(at, timeline()) == [Moment(frame, frame / 16)]


def test_a_time_is_that_of_the_nearest_frame_also_if_frames_are_unevenly_spaced():
    uneven = timeline(frames=4, times=(0, 100, 900, 1000))
    assert [moments(at, uneven)[0].frame for at in (0.04, 0.4, 0.6, 1)] == [0, 1, 2, 3]


def test_several_moments_are_separated_by_commas_or_in_a_list():
    for at in ("0.5s, 24f,mean", [0.5, "24f", "mean"]):
        assert [moment.frame for moment in moments(at, timeline())] == [8, 23, 24]


def test_the_mean_over_time_is_no_single_moment():
    (mean,) = moments("mean", timeline())
    assert mean.is_mean
    assert mean.label == "mean over time"
    assert middle(timeline()).label == "1.50 s"


@pytest.mark.parametrize("at", ["3.2s", 3.2, "1000"])
def test_a_time_after_the_end_is_refused_with_the_length_of_the_video(at):
    with pytest.raises(ConfigError, match=r"^at: found \S+ s; expected 0 to 3.06 s, the length of the video; choose"):
        moments(at, timeline())


@pytest.mark.parametrize("at", ["0f", "frame:50"])
def test_a_frame_that_is_not_there_is_refused_with_the_number_of_frames(at):
    with pytest.raises(ConfigError, match=r"^at: found frame \d+; expected 1 to 49, the frames of the video; choose"):
        moments(at, timeline())


@pytest.mark.parametrize("at", ["soon", "", "1.5m", "-1f", True, None, "1.5s,soon"])
def test_what_is_no_moment_is_refused_with_the_ways_to_write_one(at):
    with pytest.raises(ConfigError, match=r"^at: found .*; expected a time in seconds such as 1.5s, a frame such"):
        moments(at, timeline())


def test_a_negative_time_is_before_the_video():
    with pytest.raises(ConfigError, match=r"^at: found -1 s; expected 0 to"):
        moments(-1, timeline())


def test_moments_at_equal_distances_include_both_ends_and_no_frame_twice():
    assert [moment.frame for moment in evenly(4, timeline())] == [0, 16, 32, 48]
    assert [moment.frame for moment in evenly(6, timeline(frames=3))] == [0, 1, 2]
    assert [moment.frame for moment in evenly(1, timeline())] == [0]
