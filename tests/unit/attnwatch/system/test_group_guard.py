import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from attnwatch.system.group_guard import GroupGuard
from tests.support import is_running, wait_until


@pytest.fixture
def sleepers():
    """Three process groups of one process each."""
    processes = [subprocess.Popen(["sleep", "60"], start_new_session=True) for _ in range(3)]
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def test_the_groups_in_its_care_are_killed_and_no_others(sleepers):
    first, second, third = (process.pid for process in sleepers)
    guard = GroupGuard()
    with guard.over(first), guard.over(second):
        with guard.over(third):
            pass
        guard.close()
    assert [process.wait(60) for process in sleepers[:2]] == [-signal.SIGKILL] * 2
    assert sleepers[2].poll() is None


def test_the_groups_are_killed_with_the_process_that_guards_them(sleepers):
    program = f"""
import signal
from attnwatch.system.group_guard import GroupGuard
with GroupGuard().over({sleepers[0].pid}):
    print("ready", flush=True)
    signal.pause()
"""
    guarded = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert guarded.stdout.readline() == b"ready\n"
    assert is_running(sleepers[0].pid)
    guarded.kill()
    guarded.wait()
    guarded.stdout.close()
    assert sleepers[0].wait(60) == -signal.SIGKILL


def test_the_end_of_the_guard_itself_is_not_an_error(sleepers):
    guard = GroupGuard()
    guard._process.kill()
    guard._process.wait()
    with guard.over(sleepers[0].pid):
        pass
    guard.close()


def test_the_guard_leaves_no_zombie():
    guard = GroupGuard()
    guard.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(guard._process.pid, os.WNOHANG)


def test_the_guard_runs_in_its_own_session():
    guard = GroupGuard()
    assert os.getsid(guard._process.pid) == guard._process.pid
    guard.close()
    wait_until(lambda: not is_running(guard._process.pid))


def ignores(pid, number):
    (mask,) = re.findall(r"^SigIgn:\s*(\S+)", Path(f"/proc/{pid}/status").read_text(), flags=re.MULTILINE)
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_the_guard_survives_a_request_to_end(sleepers):
    guard = GroupGuard()
    wait_until(lambda: ignores(guard._process.pid, signal.SIGTERM))
    guard._process.terminate()
    with guard.over(sleepers[0].pid):
        guard.close()
    assert sleepers[0].wait(60) == -signal.SIGKILL
