from tests.chaos.judged import judge
from tests.chaos.scenarios import backlog, crowd, descriptors, disk, neighbour


def test_a_backlog_starts_soon_and_finished_videos_are_left_alone(tmp_path):
    judge(backlog.run, tmp_path)


def test_several_daemons_render_each_video_once(tmp_path):
    judge(crowd.run, tmp_path)


def test_a_full_or_read_only_disk_is_waited_out(tmp_path):
    judge(disk.run, tmp_path)


def test_a_lack_of_file_descriptors_is_waited_out(tmp_path):
    judge(descriptors.run, tmp_path)


def test_jobs_yield_the_cpu_to_their_neighbours(tmp_path):
    judge(neighbour.run, tmp_path)
