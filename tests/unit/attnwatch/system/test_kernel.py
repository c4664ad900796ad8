import os
import signal
import sys
import time
from pathlib import Path

import pytest

from attnwatch.system import kernel
from tests.support import called_in_a_process, is_running, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other kernels have no such calls")


def parent_that_dies(path, tied):
    """Start a sleeping child, write its id to a file, and be killed."""
    asked, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        if tied:
            kernel.end_with_parent()
        os.write(tell, b".")
        time.sleep(600)
    os.read(asked, 1)
    path.write_text(str(pid))
    os.kill(os.getpid(), signal.SIGKILL)


def orphan_of(path, *, tied):
    """Return the id of a process whose parent was killed, and whose grandparent does not adopt orphans."""
    pid = os.fork()
    if pid == 0:
        parent_that_dies(path, tied)
    os.waitpid(pid, 0)
    return int(path.read_text())


def test_a_process_can_be_tied_to_its_parent(tmp_path):
    tied, free = orphan_of(tmp_path / "tied", tied=True), orphan_of(tmp_path / "free", tied=False)
    try:
        wait_until(lambda: not is_running(tied))
        assert is_running(free)
    finally:
        os.kill(free, signal.SIGKILL)


def parent_of_an_orphan(path, adopting):
    if adopting:
        kernel.adopt_orphans()
    orphan = orphan_of(path, tied=False)
    try:
        return int(Path(f"/proc/{orphan}/stat").read_text().rpartition(")")[2].split()[1]) == os.getpid()
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_a_process_can_adopt_its_orphaned_descendants(tmp_path):
    assert called_in_a_process(parent_of_an_orphan, tmp_path / "adopted", True)


class Autogroup:
    """Stands for the kernel's file; refuses the first `refusals` writes."""

    def __init__(self, refusals):
        self.refusals = refusals
        self.written = []

    def write_text(self, text):
        if self.refusals:
            self.refusals -= 1
            raise BlockingIOError
        self.written.append(text)


@pytest.mark.parametrize(("refusals", "written", "left"), [(0, ["10"], 0), (1, ["10"], 0), (3, [], 1)])
def test_a_refused_change_of_a_sessions_niceness_is_tried_once_more(monkeypatch, refusals, written, left):
    group = Autogroup(refusals)
    monkeypatch.setattr(kernel, "_AUTOGROUP", group)
    monkeypatch.setattr(kernel, "_AUTOGROUP_WAIT", 0.0)
    kernel.be_nice_as_a_session(10)
    assert (group.written, group.refusals) == (written, left)


def test_a_kernel_without_autogroups_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel, "_AUTOGROUP", tmp_path / "no such folder" / "autogroup")
    kernel.be_nice_as_a_session(10)
    assert list(tmp_path.iterdir()) == []
