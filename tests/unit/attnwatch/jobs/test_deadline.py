import pytest

from attnwatch.jobs.deadline import LONGEST, Deadline, Verdict
from attnwatch.system.usage import Usage

LIMIT, START = 100.0, 1000.0


def used(computed, waited=0.0, moved=0, *, held_up=False):
    return Usage(computed, waited, moved, held_up)


def verdict(usage_at, limit=LIMIT):
    """Look at a job whenever it is due; return the verdict and the seconds from its start."""
    deadline = Deadline(limit, START)
    for _ in range(1000):
        now = deadline.due
        found = deadline.look(now, usage_at(now - START))
        if found is not None:
            return found, now - START
        assert deadline.due > now
    pytest.fail("looked a thousand times without a verdict")


def test_a_job_is_not_looked_at_before_its_limit_has_passed():
    assert Deadline(LIMIT, START).due == START + LIMIT


def test_a_job_that_computes_without_waiting_ends_at_its_limit():
    assert verdict(lambda seconds: used(seconds, held_up=True)) == (Verdict.LATE, LIMIT)


def test_a_job_that_sleeps_ends_soon_after_its_limit():
    found, seconds = verdict(lambda seconds: used(1.0))
    assert found is Verdict.LATE
    assert LIMIT < seconds <= 1.1 * LIMIT


def test_a_job_of_which_nothing_is_known_ends_at_its_limit():
    assert verdict(lambda seconds: None) == (Verdict.LATE, LIMIT)


def test_waiting_for_a_processor_does_not_count():
    found, seconds = verdict(lambda seconds: used(seconds / 3, seconds * 2 / 3, held_up=True))
    assert found is Verdict.LATE
    assert seconds == pytest.approx(3 * LIMIT, rel=0.05)


def test_a_job_that_gets_hardly_any_processor_time_is_starved():
    assert verdict(lambda s: used(s / 50, s * 49 / 50, held_up=True)) == (Verdict.STARVED, LONGEST * LIMIT)


def test_a_quota_that_the_kernel_does_not_count_as_waiting_is_not_the_jobs_fault():
    found, seconds = verdict(lambda seconds: used(seconds / 5, held_up=True))
    assert found is Verdict.LATE
    assert 4 * LIMIT <= seconds <= 5 * LIMIT  # it has computed for its limit by then, or nearly


def test_a_job_whose_disk_is_slow_goes_on_while_it_moves():
    assert verdict(lambda seconds: used(1.0, moved=int(seconds))) == (Verdict.STARVED, LONGEST * LIMIT)
    found, seconds = verdict(lambda seconds: used(1.0, moved=int(min(seconds, 3 * LIMIT))))
    assert found is Verdict.LATE
    assert 3 * LIMIT < seconds < 3.2 * LIMIT


def test_a_job_that_is_stopped_for_ever_is_starved():
    assert verdict(lambda seconds: used(1.0, held_up=True)) == (Verdict.STARVED, LONGEST * LIMIT)


def test_a_job_that_is_continued_gets_the_time_that_it_lacks():
    found, seconds = verdict(lambda s: used(max(1.0, s - 5 * LIMIT), held_up=True))
    assert found is Verdict.LATE
    assert 5.7 * LIMIT < seconds < 6 * LIMIT


def test_a_job_that_has_not_begun_is_starved():
    found, seconds = verdict(Usage.of_waiting)
    assert (found, seconds) == (Verdict.STARVED, LONGEST * LIMIT)


def test_time_in_which_the_watcher_stood_still_does_not_count():
    deadline = Deadline(LIMIT, START)
    deadline.shift(3600.0)
    assert deadline.due == START + 3600 + LIMIT
    assert deadline.look(deadline.due, used(LIMIT)) is Verdict.LATE
