from tests.chaos.judged import judge
from tests.chaos.scenarios import latency, polling, storm


def test_a_storm_of_events_costs_no_video(tmp_path):
    judge(storm.run, tmp_path)


def test_every_marker_is_followed_by_a_job(tmp_path):
    judge(latency.run, tmp_path)


def test_without_file_events_every_video_is_found_by_scanning(tmp_path):
    judge(polling.run, tmp_path)
