import math

import numpy as np
import pytest

from attnwatch.analysis.courses import courses
from attnwatch.analysis.statistics import mean_interval
from attnwatch.errors import ConfigError
from tests.unit.attnwatch.analysis.tables import row


def frames(choice, seed, *masses, **others):
    return [
        row(seed, choice, mass=mass, frame=number, seconds=number / 4, **others) for number, mass in enumerate(masses)
    ]


def table(**values):
    """Three seeds of each choice: the values of a frame are 1, 2 and 3 times those given."""
    return [
        one
        for choice, some in values.items()
        for seed in (1, 2, 3)
        for one in frames(choice, seed, *(v * seed for v in some))
    ]


def test_a_course_is_the_mean_over_seeds_at_each_time_with_its_interval():
    found = courses(table(a=(1, 2), b=(3, 5)), 1, "time", measures=["mass"])
    line = found.of["mass"]["b"]
    assert line.places.tolist() == [0, 0.25]
    assert line.mean.tolist() == [6, 10]
    low, high = mean_interval(np.array([3.0, 6, 9]))
    assert (line.low[0], line.high[0]) == (low, high)
    assert (found.levels, found.word.label, found.notes) == (("a", "b"), "'kiss'", ())


def test_other_choices_are_averaged_within_each_seed():
    rows = [row(1, a, b, mass=m, frame=0, seconds=0) for a, b, m in (("x", "l", 1), ("x", "r", 3), ("y", "l", 5))]
    found = courses(rows, 1, "time", measures=["mass"]).of["mass"]
    assert found["x"].mean.tolist() == [1]  # "r" has no counterpart
    assert math.isnan(found["x"].low[0])


def test_steps_are_at_their_numbers():
    rows = [{**one, "step": 10 * one["frame"]} for one in table(a=(1, 2), b=(1, 2))]
    assert courses(rows, 1, "steps", measures=["mass"]).of["mass"]["a"].places.tolist() == [0, 10]


def test_a_longer_video_goes_on_alone():
    found = courses(table(a=(1, 2, 3), b=(1, 2)), 1, "time", measures=["mass"]).of["mass"]
    assert [len(found[choice].places) for choice in "ab"] == [3, 2]


def test_measures_of_whole_videos_are_left_out_and_named():
    found = courses(table(a=(1, 2), b=(1, 2)), 1, "time", measures=["mass", "speed"])
    assert [measure.name for measure in found.measures] == ["mass"]
    assert found.notes == ("speed: has no values over time",)


def test_without_any_measure_of_a_map_there_is_nothing_to_follow():
    with pytest.raises(ConfigError, match="found no value of speed, settled over steps; expected measures of a map"):
        courses(table(a=(1,), b=(2,)), 1, "steps", measures=["speed", "settled"])
