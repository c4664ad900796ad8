import pytest

from attnwatch.jobs import stages
from attnwatch.jobs.stages import begin, spent, timed


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(stages.time, "monotonic", lambda: now[0])
    begin()
    return now


def test_the_time_of_a_stage_is_without_that_of_the_stages_inside_of_it(clock):
    @timed("publish")
    def inner():
        clock[0] += 2

    @timed("render")
    def outer(seconds):
        clock[0] += seconds
        inner()

    outer(3)
    outer(seconds=5)
    assert spent() == {"render": 8, "publish": 4}
    begin()
    assert spent() == {}


def test_a_stage_that_fails_counts(clock):
    @timed("verify")
    def fails():
        clock[0] += 1
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        fails()
    assert spent() == {"verify": 1}
