import ctypes
import os
from pathlib import Path

from attnwatch.system.inotify import read_inotify


def test_the_limits_match_those_of_the_kernel():
    inotify = read_inotify()
    for name, value in (
        ("max_user_watches", inotify.max_watches),
        ("max_user_instances", inotify.max_instances),
        ("max_queued_events", inotify.max_queued),
    ):
        assert int(Path(f"/proc/sys/fs/inotify/{name}").read_text()) == value


def test_watches_and_instances_of_this_process_are_counted(tmp_path):
    libc = ctypes.CDLL(None)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    try:
        for number in range(50):
            (tmp_path / str(number)).mkdir()
            assert libc.inotify_add_watch(descriptor, os.fsencode(tmp_path / str(number)), 0x100) > 0
        after = read_inotify()
    finally:
        os.close(descriptor)
    assert after.watches >= 50  # other processes of this user may have some, too
    assert after.instances >= 1


def test_unreadable_limits_are_reported_as_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr("attnwatch.system.inotify._LIMITS", tmp_path)
    assert read_inotify() is None
