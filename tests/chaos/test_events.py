from tests.chaos.judged import judge
from tests.chaos.scenarios import latency, polling, storm


def test_a_storm_of_events_loses_no_video(tmp_path):
    judge(storm.run, tmp_path)


def test_every_completion_marker_starts_a_job(tmp_path):
    judge(latency.run, tmp_path)


def test_without_file_events_scanning_finds_every_video(tmp_path):
    judge(polling.run, tmp_path)
