from tests.chaos.judged import judge
from tests.chaos.scenarios import content, hostile


def test_hostile_and_broken_input_gets_a_clear_word_and_harms_nobody(tmp_path):
    judge(hostile.run, tmp_path)


def test_only_changed_content_is_rendered_again_and_that_once(tmp_path):
    judge(content.run, tmp_path)
