from tests.chaos.judged import judge
from tests.chaos.scenarios import content, escape, fuzz, hostile, stoppers


def test_hostile_and_broken_input_gets_a_clear_error_and_harms_no_other_video(tmp_path):
    judge(hostile.run, tmp_path)


def test_only_changed_content_is_rendered_again_and_only_once(tmp_path):
    judge(content.run, tmp_path)


def test_no_video_stops_or_starves_the_others(tmp_path):
    judge(stoppers.run, tmp_path)


def test_nothing_outside_a_batch_is_touched_while_its_owner_exchanges_parts_of_it_for_links(tmp_path):
    judge(escape.run, tmp_path)


def test_mutated_files_neither_end_the_watcher_nor_hold_it_up(tmp_path):
    judge(fuzz.run, tmp_path)
