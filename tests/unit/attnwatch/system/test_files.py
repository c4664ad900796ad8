import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from attnwatch.system.files import move_into_place, read_regular, unwritable, write_atomically
from tests.support import wait_until


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_no_temporary_file_is_left(tmp_path):
    write_atomically(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"new"
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize(("durable", "flushed"), [(True, ["regular", "folder"]), (False, [])])
def test_only_a_durable_file_is_flushed_to_disk(tmp_path, monkeypatch, durable, flushed):
    seen = []
    monkeypatch.setattr(
        os, "fsync", lambda number: seen.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "regular")
    )
    write_atomically(tmp_path / "a.json", b"new", durable=durable)
    assert (tmp_path / "a.json").read_bytes() == b"new"
    assert seen == flushed


def test_an_existing_file_is_replaced(tmp_path):
    (tmp_path / "a.json").write_bytes(b"old and longer")
    write_atomically(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"new"


def test_the_longest_file_name_can_be_written(tmp_path):
    name = "x" * 250 + ".json"
    write_atomically(tmp_path / name, b"new")
    assert names(tmp_path) == [name]


def test_a_file_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path):
    (tmp_path / "a.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "a.json", b"new")
    assert names(tmp_path) == ["a.json"]


def test_nothing_is_written_without_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "nowhere" / "a.json", b"new")


def test_a_killed_writer_leaves_the_old_file_or_the_new_one(tmp_path):
    """A process rewrites a file in an endless loop, and is killed several times."""
    path = tmp_path / "a.json"
    program = """
import sys
from pathlib import Path
from attnwatch.system.files import write_atomically
for number in range(10**9):
    write_atomically(Path(sys.argv[1]), b"%d" % (number % 10) * 3_000_000)
"""
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", program, str(path)])
        try:
            wait_until(lambda: [name for name in names(tmp_path) if name.endswith(".tmp")])
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if path.exists():
            content = path.read_bytes()
            assert len(content) == 3_000_000
            assert len(set(content)) == 1
        for name in names(tmp_path):
            assert name == "a.json" or name.startswith(".")
            if name != "a.json":
                os.unlink(tmp_path / name)  # noqa: PTH108 - one call


def test_a_finished_file_is_moved_over_the_old_one(tmp_path):
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    move_into_place(tmp_path / "new", tmp_path / "old")
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"new"


@pytest.mark.parametrize(("flags", "reason"), [(os.ST_RDONLY, "is mounted read-only"), (0, "change its permissions")])
def test_the_reason_for_an_unwritable_folder_is_its_mount_or_its_permissions(tmp_path, monkeypatch, flags, reason):
    monkeypatch.setattr("os.access", lambda _folder, _mode: False)
    monkeypatch.setattr("os.statvfs", lambda _folder: os.statvfs_result((1, 1, 1, 1, 1, 1, 1, 1, flags, 255)))
    assert reason in unwritable(tmp_path / "not yet made")


def test_a_regular_file_is_read_up_to_a_bound(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"12345")
    assert read_regular(path, 100) == b"12345"
    assert read_regular(path, 3) == b"123"


@pytest.mark.parametrize("follow", [True, False])
def test_a_fifo_is_neither_read_nor_waited_for(tmp_path, follow):
    os.mkfifo(tmp_path / "fifo")
    assert read_regular(tmp_path / "fifo", 100, follow=follow) is None


def test_a_link_is_followed_only_where_that_is_wanted(tmp_path):
    (tmp_path / "a.json").write_bytes(b"new")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "a.json")
    assert read_regular(link, 100) == b"new"
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        read_regular(link, 100, follow=False)
