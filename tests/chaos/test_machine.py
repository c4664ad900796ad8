from tests.chaos.judged import judge
from tests.chaos.scenarios import backlog, crowd, descriptors, disk, neighbour


def test_a_backlog_is_begun_and_what_is_finished_is_left_alone(tmp_path):
    judge(backlog.run, tmp_path)


def test_several_daemons_render_each_video_once(tmp_path):
    judge(crowd.run, tmp_path)


def test_a_disk_that_is_full_or_read_only_is_waited_out(tmp_path):
    judge(disk.run, tmp_path)


def test_too_few_file_descriptors_are_waited_out(tmp_path):
    judge(descriptors.run, tmp_path)


def test_jobs_leave_the_machine_to_their_neighbours(tmp_path):
    judge(neighbour.run, tmp_path)
