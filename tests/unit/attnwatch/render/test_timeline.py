from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnwatch.render.colours import Colours
from attnwatch.render.timeline import Clock, Timeline


def timeline(rate=Fraction(16), *, frames=4, times=(), time_base=Fraction(1, 16), pixel_aspect=Fraction(1)):
    return Timeline(64, 48, frames, rate, time_base, Colours.usual(48), pixel_aspect, times)


class TestClock:
    def shown(self, times, usual=10):
        clock = Clock(usual)
        return [clock.time(time) for time in times]

    def test_times_that_increase_are_kept(self):
        assert self.shown([-5, 0, 3, 100]) == [-5, 0, 3, 100]

    def test_frames_without_times_follow_at_the_usual_distance(self):
        assert self.shown([None, None, None]) == [0, 10, 20]

    def test_a_frame_that_is_not_later_comes_one_unit_after_the_one_before(self):
        assert self.shown([0, 10, 10, 10, 20, 15, 30]) == [0, 10, 11, 12, 20, 21, 30]

    def test_after_a_jump_back_times_go_on_from_where_they_were(self):
        assert self.shown([0, 10, 1000, 0, 10, 20]) == [0, 10, 1000, 1010, 1020, 1030]

    @given(st.lists(st.none() | st.integers(-(10**12), 10**12)), st.integers(1, 10**6))
    def test_times_always_increase(self, times, usual):
        shown = self.shown(times, usual)
        assert all(before < after for before, after in pairwise(shown))


class TestTimeline:
    def test_seconds_are_those_of_the_file_from_the_first_frame_on(self):
        assert timeline(times=[8, 16, 17, 40]).seconds.tolist() == [0.0, 0.5, 0.5625, 2.0]

    @pytest.mark.parametrize("times", [(), [1, 2]], ids=str)
    def test_seconds_follow_from_the_rate_if_the_file_does_not_tell_them(self, times):
        assert timeline(Fraction(4), times=times).seconds.tolist() == [0.0, 0.25, 0.5, 0.75]

    @pytest.mark.parametrize(
        ("rate", "expected"),
        [
            (Fraction(24000, 1001), Fraction(24000, 1001)),
            (Fraction(1, 10), Fraction(1, 10)),
            (Fraction(240), Fraction(240)),
            (Fraction(1, 3600), Fraction(16)),
            (Fraction(16000), Fraction(16)),
            (Fraction(1, 100_000), Fraction(16)),
        ],
        ids=str,
    )
    def test_a_still_picture_takes_the_rate_of_the_video_if_that_is_plausible(self, rate, expected):
        assert timeline(rate).still_rate == expected
