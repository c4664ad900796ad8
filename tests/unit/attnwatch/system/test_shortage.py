import errno
import os
import resource
import subprocess

import pytest

from attnwatch.errors import VideoError
from attnwatch.system.shortage import (
    ENOUGH_FILES,
    Shortage,
    free_space,
    lack_of_space,
    lasting_shortage,
    shortage_behind,
)


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
def test_the_errno_identifies_the_shortage(number, expected):
    assert shortage_behind(OSError(number, "said the system")) is expected


def test_an_error_without_an_errno_is_not_a_shortage():
    assert shortage_behind(VideoError("no video at all")) is None


def raised(what):
    with pytest.raises(Exception, match="outer") as caught:
        what()
    return caught.value


def run_out(number):
    raise OSError(number, "said the system")


def test_a_shortage_is_found_as_the_cause_of_another_error():
    def reported():
        try:
            run_out(errno.ENOSPC)
        except OSError as error:
            raise VideoError("outer") from error

    assert shortage_behind(raised(reported)) is Shortage.DISK


def test_a_shortage_is_found_as_the_context_of_an_error_during_cleanup():
    def stumbled():
        try:
            run_out(errno.EMFILE)
        finally:
            raise ValueError("outer")

    assert shortage_behind(raised(stumbled)) is Shortage.MACHINE


def test_a_cycle_of_causes_ends():
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert shortage_behind(one) is None


def test_free_space_is_in_bytes_and_unknown_for_a_missing_folder(tmp_path):
    assert free_space(tmp_path) > 0
    assert free_space(tmp_path / "nowhere") is None


def mounted(monkeypatch, *, available=1000, flags=0):
    status = os.statvfs_result((1000, 1000, 9999, available, available, 99, 99, 99, flags, 255))
    monkeypatch.setattr("os.statvfs", lambda _folder: status)


def test_less_space_than_required_is_a_lack_of_space(tmp_path, monkeypatch):
    mounted(monkeypatch, available=3 * 2**20 // 1000 + 1)
    assert lack_of_space(tmp_path, 3 * 2**20) is None
    found = f"the disk of {tmp_path} is full (3 MiB left, min_free_space is 4 MiB)"
    remedy = "free some space, lower min_free_space, or name another folder with --out"
    assert lack_of_space(tmp_path, 4 * 2**20) == f"{found}; {remedy}"


def test_a_read_only_mount_is_a_lack_of_space(tmp_path, monkeypatch):
    mounted(monkeypatch, flags=os.ST_RDONLY)
    assert f"{tmp_path} is mounted read-only; mount it read-write" in lack_of_space(tmp_path, 0)


def test_unknown_free_space_is_not_a_lack_of_space(tmp_path):
    assert lack_of_space(tmp_path / "nowhere", 2**62) is None


def test_a_disk_that_has_room_again_is_not_short_of_space(tmp_path):
    assert lasting_shortage(OSError(errno.ENOSPC, "full"), tmp_path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a file system")
def test_a_disk_that_stays_full_is_short_of_space(tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path], check=True)
    try:
        assert lasting_shortage(OSError(errno.ENOSPC, "full"), tmp_path) is Shortage.DISK
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_process_that_may_open_many_files_has_opened_too_many_itself(tmp_path):
    error = OSError(errno.EMFILE, "too many")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert lasting_shortage(error, tmp_path) is None
    resource.setrlimit(resource.RLIMIT_NOFILE, (ENOUGH_FILES - 1, hard))
    try:
        assert lasting_shortage(error, tmp_path) is Shortage.MACHINE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "error", [OSError(errno.ENFILE, ""), OSError(errno.EAGAIN, ""), RuntimeError("can't start new thread")]
)
def test_what_the_whole_machine_is_short_of_outlasts_a_job(tmp_path, error):
    assert lasting_shortage(error, tmp_path) is Shortage.MACHINE


def test_another_error_is_no_shortage(tmp_path):
    assert lasting_shortage(RuntimeError("something else"), tmp_path) is None
