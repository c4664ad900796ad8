from tests.chaos.judged import judge
from tests.chaos.scenarios import captures


def test_captures_in_threads_do_not_disturb_each_other(tmp_path):
    judge(captures.run, tmp_path)
