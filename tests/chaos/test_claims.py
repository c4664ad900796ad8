from tests.chaos.judged import judge
from tests.chaos.scenarios import claims


def test_generators_that_are_killed_and_replaced_make_each_video_once(tmp_path):
    judge(claims.run, tmp_path)
