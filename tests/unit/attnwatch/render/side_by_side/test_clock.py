"""Several videos on one clock."""

from fractions import Fraction
from itertools import islice

import pytest

from attnwatch.render.colours import Colours
from attnwatch.render.side_by_side.clock import at_ticks, common_rate
from attnwatch.render.timeline import SourceFrame, Timeline

MILLISECOND = Fraction(1, 1000)


def frames(count, rate, time_base=None, start=0):
    """Return frames at a rate, with times rounded to the time base."""
    time_base = time_base or 1 / Fraction(rate)
    times = [start + round(number / Fraction(rate) / time_base) for number in range(count + 1)]
    return [SourceFrame(times[number], times[number + 1] - times[number], None) for number in range(count)]


def shown(count, rate, clock, time_base=None, *, start=0):
    """Return the number of the frame at each tick until the video is over."""
    time_base = time_base or 1 / Fraction(rate)
    found = islice(at_ticks(frames(count, rate, time_base, start), time_base, Fraction(clock)), 200)
    return [one.index for one in found if not one.has_ended]


@pytest.mark.parametrize("rate", [8, 16, Fraction(24000, 1001), 25, Fraction(30000, 1001), 60])
@pytest.mark.parametrize("time_base", [None, MILLISECOND, Fraction(1, 90_000)])
def test_at_its_own_rate_each_frame_is_shown_once_however_its_times_are_rounded(rate, time_base):
    assert shown(100, rate, rate, time_base) == list(range(100))


@pytest.mark.parametrize("start", [0, 7, -3])
def test_a_slower_video_repeats_its_frames_from_the_tick_at_which_each_begins(start):
    assert shown(4, 8, 16, start=start) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_faster_video_leaves_out_frames_evenly():
    assert shown(12, 24, 8) == [0, 3, 6, 9]


@pytest.mark.parametrize(("rate", "clock"), [(24, 25), (25, 24), (16, 30), (10, 24), (50, 60)])
def test_at_any_rate_no_frame_is_more_than_half_a_tick_away_and_the_end_is_the_same(rate, clock):
    found = shown(50, rate, clock)
    late = [tick / clock - index / rate for tick, index in enumerate(found)]
    assert min(late) > -0.5 / clock
    assert max(late) <= 1 / rate + 1e-9
    assert abs(len(found) / clock - 50 / rate) <= 0.5 / clock


def test_a_video_that_is_over_shows_its_last_frame_for_ever():
    played = at_ticks(frames(3, 16), Fraction(1, 16), Fraction(16))
    assert [(one.index, one.has_ended) for one in islice(played, 6)] == [(0, False), (1, False), (2, False)] + [
        (2, True)
    ] * 3


def test_a_video_shorter_than_a_tick_is_shown_once():
    assert shown(1, 60, 8) == [0]


def timeline(rate):
    return Timeline(64, 48, 9, Fraction(rate), 1 / Fraction(rate), Colours.usual(48))


@pytest.mark.parametrize(
    ("rates", "fps", "expected"),
    [
        ([16, 24], None, 24),
        ([16, 8], 12.5, Fraction(25, 2)),
        ([120, 16], None, 60),
        ([120], 100.0, 100),
        ([Fraction(24000, 1001), 16], None, Fraction(24000, 1001)),
        ([1000, 8], None, 16),
    ],
    ids=["highest", "asked for", "at most 60", "more than 60 if asked for", "exact", "implausible"],
)
def test_the_clock_ticks_at_the_highest_rate_or_as_asked_for(rates, fps, expected):
    assert common_rate(map(timeline, rates), fps) == expected
