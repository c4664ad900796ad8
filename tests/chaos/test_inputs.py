from tests.chaos.judged import judge
from tests.chaos.scenarios import content, hostile, stoppers


def test_hostile_and_broken_input_gets_a_clear_error_and_harms_no_other_video(tmp_path):
    judge(hostile.run, tmp_path)


def test_only_changed_content_is_rendered_again_and_only_once(tmp_path):
    judge(content.run, tmp_path)


def test_no_video_stops_or_starves_the_others(tmp_path):
    judge(stoppers.run, tmp_path)
