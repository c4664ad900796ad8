import errno
import fcntl
import os
import subprocess
import sys
import threading
import time

import pytest

from attnwatch.errors import BusyError
from attnwatch.system.folders import Folder, PathError
from attnwatch.system.locks import exclusive, lock_file, locked_inodes

HOLDER = """
import sys, time
from pathlib import Path
from attnwatch.system.folders import Folder
from attnwatch.system.locks import exclusive
with Folder.open(Path(sys.argv[1])) as folder, exclusive(folder, "a"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path):
    with Folder.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def holder(folder):
    """Another process that holds the lock `a`."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder.path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_only_one_process_holds_a_lock(folder, holder):
    with pytest.raises(BusyError, match="a: another process is rendering it"), exclusive(folder, "a"):
        pass
    with exclusive(folder, "b"):
        pass


def test_the_lock_of_a_killed_process_is_free(folder, holder):
    holder.kill()
    holder.wait()
    with exclusive(folder, "a"):
        pass


FORKING_HOLDER = """
import os, sys
from pathlib import Path
from attnwatch.system.folders import Folder
from attnwatch.system.locks import exclusive
with Folder.open(Path(sys.argv[1])) as folder, exclusive(folder, "a"):
    if os.fork() == 0:
        sys.stdin.read()
        os._exit(0)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_has_forked_does_not_go_on_holding_its_lock(folder):
    command = [sys.executable, "-c", FORKING_HOLDER, str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(BusyError), exclusive(folder, "a"):
            pass
        process.kill()
        process.wait()
        with exclusive(folder, "a", patience=100):  # its child lives until its input ends
            pass


def test_a_forked_process_that_leaves_the_context_leaves_the_lock_alone(folder):
    held = exclusive(folder, "a")
    held.__enter__()
    child = os.fork()
    if child == 0:
        try:
            held.__exit__(None, None, None)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert lock_file("a") in folder.names()
    held.__exit__(None, None, None)
    assert lock_file("a") not in folder.names()


def test_a_lock_is_waited_for(folder, holder):
    threading.Timer(0.3, holder.kill).start()
    with exclusive(folder, "a", patience=100):
        pass
    holder.wait()


def test_the_file_of_a_lock_goes_with_it(folder):
    with exclusive(folder, "a"):
        assert folder.names() == [lock_file("a")]
        assert folder.stat(lock_file("a")).st_ino in locked_inodes()
    assert folder.names() == []


def test_a_lock_removed_by_its_holder_is_taken_again_under_its_name(folder, monkeypatch):
    """The file is removed between opening and locking it, as its holder does at the end."""
    real, left = fcntl.flock, [1]

    def late(descriptor, operation):
        if left and left.pop():
            folder.unlink(lock_file("a"))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with exclusive(folder, "a"):
        assert folder.stat(lock_file("a")).st_ino in locked_inodes()


def test_a_lock_that_always_vanishes_counts_as_held(folder, monkeypatch):
    real = fcntl.flock

    def late(descriptor, operation):
        folder.unlink(lock_file("a"))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(BusyError), exclusive(folder, "a"):
        pass


def test_a_link_is_no_lock(folder, tmp_path):
    target = tmp_path / "elsewhere"
    target.write_bytes(b"kept")
    (tmp_path / lock_file("a")).symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"), exclusive(folder, "a"):
        pass
    (tmp_path / lock_file("b")).symlink_to(tmp_path / "absent")
    with pytest.raises(OSError, match="symbolic links"), exclusive(folder, "b"):
        pass
    assert target.read_bytes() == b"kept"
    assert not (tmp_path / "absent").exists()


def test_a_fifo_is_no_lock(folder, tmp_path):
    os.mkfifo(tmp_path / lock_file("a"))
    with pytest.raises(PathError, match="found a FIFO"), exclusive(folder, "a"):
        pass


@pytest.mark.parametrize("name", ["../a", "x/../../a", "a/b", "a\0b"])
def test_the_name_of_a_lock_leads_nowhere(folder, name):
    with pytest.raises(PathError, match="expected a plain name"), exclusive(folder, name):
        pass


def test_what_is_in_the_file_of_a_lock_stays(folder, tmp_path):
    (tmp_path / "important").write_bytes(b"kept")
    os.link(tmp_path / "important", tmp_path / lock_file("a"))
    with exclusive(folder, "a"):
        pass
    assert (tmp_path / "important").read_bytes() == b"kept"


def test_a_file_system_without_locks_has_none_to_wait_for(folder, monkeypatch):
    def absent(descriptor, operation):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", absent)
    start = time.monotonic()
    with exclusive(folder, "a", patience=100):
        pass
    assert time.monotonic() - start < 60


def test_another_error_is_not_taken_for_a_held_lock(folder, monkeypatch):
    def broken(descriptor, operation):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output"), exclusive(folder, "a"):
        pass
