from tests.chaos.judged import judge
from tests.chaos.scenarios import kills, misbehaving, stopping


def test_a_daemon_that_is_killed_at_any_instant_loses_nothing_and_tears_nothing(tmp_path):
    judge(kills.run, tmp_path)


def test_jobs_that_hang_crash_or_take_all_memory_are_gone_with_all_that_they_started(tmp_path):
    judge(misbehaving.run, tmp_path)


def test_a_daemon_that_is_stopped_while_it_renders_leaves_the_rest_to_the_next_one(tmp_path):
    judge(stopping.run, tmp_path)
