import math

import numpy as np
import pytest

from attnwatch.analysis.spatial import spatial
from attnwatch.analysis.temporal import temporal
from tests.unit.attnwatch.analysis.test_spatial import HEIGHT, WIDTH, gaussian

SECONDS = np.arange(5) / 4


def test_a_spot_that_moves_to_the_right_has_its_own_velocity_and_path() -> None:
    frames = np.stack([gaussian(0.3 + 0.1 * frame, 0.5) for frame in range(5)])

    found = temporal(spatial(frames), (WIDTH, HEIGHT), SECONDS)

    assert found.velocity_x == pytest.approx(0.4, rel=1e-3)  # widths per second
    assert found.velocity_y == pytest.approx(0, abs=1e-9)
    assert found.path_length == pytest.approx(0.4 * WIDTH / math.hypot(WIDTH, HEIGHT), rel=1e-3)
    assert found.speed == pytest.approx(found.path_length / 1)


def test_velocity_has_the_sign_of_the_motion_and_speed_has_none() -> None:
    frames = np.stack([gaussian(0.3 + 0.1 * frame, 0.7 - 0.1 * frame) for frame in range(5)])
    there = temporal(spatial(frames), (WIDTH, HEIGHT), SECONDS)
    back = temporal(spatial(frames[::-1]), (WIDTH, HEIGHT), SECONDS)

    assert there.velocity_x == pytest.approx(-back.velocity_x)
    assert there.velocity_y == pytest.approx(-back.velocity_y)
    assert there.velocity_x > 0 > there.velocity_y
    assert there.speed == pytest.approx(back.speed)


def test_there_and_back_is_a_path_without_a_mean_velocity() -> None:
    frames = np.stack([gaussian(place, 0.5) for place in (0.3, 0.5, 0.7, 0.5, 0.3)])

    found = temporal(spatial(frames), (WIDTH, HEIGHT), SECONDS)

    assert found.path_length == pytest.approx(0.8 * WIDTH / math.hypot(WIDTH, HEIGHT), rel=1e-3)
    assert found.velocity_x == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("masses", "peak", "evenness"), [([1, 1, 1, 1], 0, 1.0), ([0, 0, 5, 0], 2, 0.0), ([1, 1, 0, 0], 0, 0.5)]
)
def test_temporal_entropy_tells_over_how_many_frames_the_attention_is_spread(
    masses: list[float], peak: int, evenness: float
) -> None:
    frames = np.stack([gaussian(0.5, 0.5) * mass for mass in masses])

    found = temporal(spatial(frames), (WIDTH, HEIGHT), None)

    assert found.peak_frame == peak
    assert found.temporal_entropy == pytest.approx(evenness, abs=1e-9)


def test_frames_without_attention_are_left_out_of_the_path() -> None:
    frames = np.stack([gaussian(0.3, 0.5), np.zeros((HEIGHT, WIDTH), np.float32), gaussian(0.5, 0.5)])

    found = temporal(spatial(frames), (WIDTH, HEIGHT), np.array([0.0, 0.5, 1.0]))

    assert found.velocity_x == pytest.approx(0.2, rel=1e-3)


def test_without_times_or_motion_there_is_no_speed_and_no_warning() -> None:
    still = spatial(gaussian(0.5, 0.5)[None])
    nothing = spatial(np.zeros((3, HEIGHT, WIDTH), np.float32))

    assert math.isnan(temporal(still, (WIDTH, HEIGHT), np.array([0.0])).speed)
    assert math.isnan(temporal(spatial(np.stack([gaussian(0.5, 0.5)] * 2)), (WIDTH, HEIGHT), None).velocity_x)
    empty = temporal(nothing, (WIDTH, HEIGHT), np.arange(3.0))
    assert empty.path_length == 0
    assert math.isnan(empty.temporal_entropy)
    assert math.isnan(empty.speed)


def test_frames_that_a_short_video_shows_all_at_one_time_have_a_path_and_no_speed() -> None:
    frames = np.stack([gaussian(place, 0.5) for place in (0.3, 0.5, 0.7)])

    found = temporal(spatial(frames), (WIDTH, HEIGHT), np.zeros(3))

    assert found.path_length > 0
    assert np.isnan([found.speed, found.velocity_x, found.velocity_y]).all()
