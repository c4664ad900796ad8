"""Uses real processes, because what the kernel counts, and when, is the point."""

import os
import signal
import subprocess
import sys

import pytest

from attnwatch.system.usage import usage_of
from tests.support import wait_until

PATIENCE = 120.0
SPIN = "while True: pass"
SLEEP = "import time; time.sleep(600)"


@pytest.fixture
def start():
    """Start a Python program, on the given processor; all are killed at the end of the test."""
    started = []

    def start(program, core=None):
        started.append(subprocess.Popen([sys.executable, "-c", program], process_group=0))
        if core is not None:
            os.sched_setaffinity(started[-1].pid, {core})
        return started[-1].pid

    yield start
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(pid, holds, about):
    """Wait until the usage of a process fulfils a condition; return it."""
    usage = None

    def look():
        nonlocal usage
        usage = usage_of(pid)
        return usage is not None and holds(usage)

    wait_until(look, PATIENCE, about=about)
    return usage


def test_processor_time_grows_while_a_process_computes(start):
    pid = start(SPIN)
    first = until(pid, lambda usage: usage.computed > 0, "it computes")
    assert until(pid, lambda usage: usage.computed > first.computed, "it goes on").held_up in (True, False)


def test_the_processor_time_of_children_counts(start):
    pid = start(f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {SPIN!r}])")
    until(pid, lambda usage: usage.computed > 1.0, "its child computes")


def test_a_process_that_shares_a_processor_waits_for_it(start):
    core = min(os.sched_getaffinity(0))
    pids = [start(SPIN, core) for _ in range(3)]
    usage = until(pids[0], lambda usage: usage.waited > 1.0, "it has waited for a second")
    assert usage.computed < usage.waited
    assert usage.held_up


def test_a_sleeping_process_neither_computes_nor_waits(start):
    pid = start(f"print(end='', flush=True); {SLEEP}")
    until(pid, lambda usage: usage.moved > 0 and not usage.held_up, "it sleeps")
    first = usage_of(pid)
    wait_until(lambda: (usage_of(pid).computed, usage_of(pid).moved) == (first.computed, first.moved), PATIENCE)
    assert usage_of(pid).waited < PATIENCE


def test_bytes_read_and_written_count(start, tmp_path):
    program = "import os\nwhile True: os.write(1, b'x' * 2**16)"
    with (tmp_path / "out").open("wb") as file:
        process = subprocess.Popen([sys.executable, "-c", program], stdout=file)
        try:
            until(process.pid, lambda usage: usage.moved > 2**20, "it writes")
        finally:
            process.kill()
            process.wait()


def test_a_stopped_process_is_held_up(start):
    pid = start(SLEEP)
    os.kill(pid, signal.SIGSTOP)
    until(pid, lambda usage: usage.held_up, "it is stopped")
    os.kill(pid, signal.SIGCONT)
    until(pid, lambda usage: not usage.held_up, "it sleeps again")


def test_a_process_that_has_ended_cannot_be_observed():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert usage_of(process.pid) is None
