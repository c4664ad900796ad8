import pytest

from tests.chaos.judged import judge
from tests.chaos.scenarios import cluster, kills, misbehaving, stopping


def test_a_daemon_killed_at_any_instant_loses_no_video_and_leaves_no_partial_output(tmp_path):
    judge(kills.run, tmp_path)


@pytest.mark.slow  # starts twenty processes of Dask
def test_a_cluster_whose_workers_scheduler_and_watcher_are_killed_renders_each_video_without_charging_it(tmp_path):
    judge(cluster.run, tmp_path)


def test_jobs_that_hang_crash_or_exhaust_memory_are_ended_with_all_their_descendants(tmp_path):
    judge(misbehaving.run, tmp_path)


def test_a_daemon_stopped_while_rendering_leaves_the_rest_to_the_next_one(tmp_path):
    judge(stopping.run, tmp_path)
