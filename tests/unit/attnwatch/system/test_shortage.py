import errno
import os

import pytest

from attnwatch.errors import VideoError
from attnwatch.system.shortage import Shortage, free_space, lack_of_space, shortage_behind


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, Shortage.DISK),
        (errno.EDQUOT, Shortage.DISK),
        (errno.EROFS, Shortage.DISK),
        (errno.EMFILE, Shortage.MACHINE),
        (errno.ENFILE, Shortage.MACHINE),
        (errno.EAGAIN, Shortage.MACHINE),
        (errno.ENOENT, None),
        (errno.EACCES, None),
        (errno.EIO, None),
    ],
)
def test_what_ran_out_is_told_by_the_systems_own_number(number, expected):
    assert shortage_behind(OSError(number, "said the system")) is expected


def test_an_error_without_a_number_is_no_shortage():
    assert shortage_behind(VideoError("no video at all")) is None


def raised(what):
    with pytest.raises(Exception, match="outer") as caught:
        what()
    return caught.value


def run_out(number):
    raise OSError(number, "said the system")


def test_a_shortage_is_found_behind_the_error_that_was_made_of_it():
    def reported():
        try:
            run_out(errno.ENOSPC)
        except OSError as error:
            raise VideoError("outer") from error

    assert shortage_behind(raised(reported)) is Shortage.DISK


def test_a_shortage_is_found_behind_an_error_in_its_own_clean_up():
    def stumbled():
        try:
            run_out(errno.EMFILE)
        finally:
            raise ValueError("outer")

    assert shortage_behind(raised(stumbled)) is Shortage.MACHINE


def test_errors_that_stand_behind_each_other_come_to_an_end():
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert shortage_behind(one) is None


def test_free_space_is_a_number_of_bytes_where_there_is_a_folder(tmp_path):
    assert free_space(tmp_path) > 0
    assert free_space(tmp_path / "nowhere") is None


def mounted(monkeypatch, *, available=1000, flags=0):
    status = os.statvfs_result((1000, 1000, 9999, available, available, 99, 99, 99, flags, 255))
    monkeypatch.setattr("os.statvfs", lambda _folder: status)


def test_there_is_a_lack_of_space_where_less_is_left_than_there_must_be(tmp_path, monkeypatch):
    mounted(monkeypatch, available=3 * 2**20 // 1000 + 1)
    assert lack_of_space(tmp_path, 3 * 2**20) is None
    assert lack_of_space(tmp_path, 4 * 2**20) == f"the disk of {tmp_path} is full (3 MiB left, min_free_space is 4 MiB)"


def test_there_is_no_space_at_all_where_a_file_system_is_mounted_read_only(tmp_path, monkeypatch):
    mounted(monkeypatch, flags=os.ST_RDONLY)
    assert f"{tmp_path} is mounted read-only; mount it read-write" in lack_of_space(tmp_path, 0)


def test_where_the_system_says_nothing_no_lack_is_told(tmp_path):
    assert lack_of_space(tmp_path / "nowhere", 2**62) is None
