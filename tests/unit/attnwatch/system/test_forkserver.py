"""Uses real processes, so that the kernel's behaviour is tested, too."""

import contextlib
import errno
import itertools
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attnwatch.system.forkserver import ForkServer
from tests.support import call, few_descriptors, is_running, opened_since, wait_until

MEGABYTE = 2**20


@pytest.fixture
def server():
    server = ForkServer(call)
    yield server
    server.close()


def wait_for_the_end(server, count=1):
    """Return the exit code of each process by its number, once all have ended."""
    codes = {}
    wait_until(lambda: codes.update(server.ended()) or len(codes) >= count, about="the processes end")
    return codes


def result_of(server, function, *arguments):
    _, results = server.start((function, *arguments))
    with results:
        return results.recv()


def family():
    return os.getpid(), os.getppid(), os.getsid(0)


def sleep_and_tell(path):
    """Write this process's id to a file, atomically, and sleep until killed."""
    path.with_suffix(".new").write_text(str(os.getpid()))
    path.with_suffix(".new").rename(path)
    time.sleep(600)


def sleeper(server, path):
    """Start a sleeping process; return its number and its id."""
    number, results = server.start((sleep_and_tell, path))
    results.close()
    return number, int(wait_until(lambda: path.exists() and path.read_text(), about="the process runs"))


def test_the_result_of_a_process_arrives_before_its_exit_code(server):
    number, results = server.start((divmod, 7, 3))
    assert results.recv() == (2, 1)
    assert wait_for_the_end(server) == {number: 0}


def test_every_job_is_a_new_process_in_its_own_session(server):
    first, second = result_of(server, family), result_of(server, family)
    assert first[0] != second[0]
    assert first[1] == second[1] != os.getpid()
    assert (first[2], second[2]) == (first[0], second[0])


def test_concurrent_processes_are_distinguished_by_their_numbers(server):
    started = [server.start((abs, -number)) for number in range(5)]
    assert [results.recv() for _, results in started] == list(range(5))
    numbers = [number for number, _ in started]
    assert numbers == sorted(set(numbers))
    assert wait_for_the_end(server, 5) == dict.fromkeys(numbers, 0)


def test_a_result_longer_than_a_pipe_arrives_whole(server):
    assert result_of(server, bytes, MEGABYTE) == bytes(MEGABYTE)


def test_work_longer_than_a_pipe_arrives_whole(server):
    assert result_of(server, len, bytes(MEGABYTE)) == MEGABYTE


@pytest.mark.parametrize(
    ("function", "argument", "code"),
    [
        (sys.exit, 3, 3),
        (os._exit, 4, 4),
        (sys.exit, None, 0),
        (sys.exit, "a text", 1),
        (signal.raise_signal, signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_the_exit_code_tells_how_a_process_without_a_result_ended(server, function, argument, code):
    number, results = server.start((function, argument))
    with pytest.raises(EOFError):
        results.recv()
    assert wait_for_the_end(server) == {number: code}


def fail(log):
    sys.stderr = log.open("w")
    raise ValueError("nobody expects this")


def test_a_process_that_fails_writes_its_traceback_to_stderr_and_harms_no_other(server, tmp_path):
    number, _ = server.start((fail, tmp_path / "log"))
    assert wait_for_the_end(server) == {number: 1}
    assert "ValueError: nobody expects this" in (tmp_path / "log").read_text()
    assert result_of(server, abs, -1) == 1


def imported(name):
    module = sys.modules[name]
    return module.PID, module.SETTING


def test_modules_are_imported_once_in_the_server_with_its_environment(tmp_path, monkeypatch):
    source = "import os\nPID = os.getpid()\nSETTING = os.environ['SETTING_OF_A_TEST']\n"
    (tmp_path / "imported_beforehand.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    server = ForkServer(call, ["imported_beforehand"], {"SETTING_OF_A_TEST": "as given"})
    try:
        pid = result_of(server, family)[1]
        assert result_of(server, imported, "imported_beforehand") == (pid, "as given")
    finally:
        server.close()
    assert "imported_beforehand" not in sys.modules
    assert "SETTING_OF_A_TEST" not in os.environ


def handlers():
    return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]


def test_processes_ignore_signals_of_the_terminal_and_receive_their_own(server):
    assert result_of(server, handlers) == [signal.SIG_DFL, signal.SIG_DFL, signal.SIG_IGN]


def test_the_server_survives_requests_to_end(server):
    pid = result_of(server, family)[1]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert result_of(server, family)[1] == pid


def have_children(folder, *, own_session):
    """Start a child and a grandchild that sleep, write their ids to a file, and exit."""
    code = "import subprocess, sys, time; subprocess.Popen(['sleep', '600']); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code], start_new_session=own_session)
    listing = Path(f"/proc/{child.pid}/task/{child.pid}/children")
    (grandchild,) = wait_until(lambda: listing.read_text().split())
    return child.pid, int(grandchild)


@pytest.mark.parametrize("own_session", [False, True])
def test_everything_a_process_started_ends_with_it(server, tmp_path, own_session):
    number, results = server.start((have_children_in, tmp_path, own_session))
    descendants = results.recv()
    assert wait_for_the_end(server) == {number: 0}
    wait_until(lambda: not any(map(is_running, descendants)), about="its descendants end")


def have_children_in(folder, own_session):
    return have_children(folder, own_session=own_session)


def have_children_and_sleep(path, own_session):
    path.with_suffix(".children").write_text(" ".join(map(str, have_children(path, own_session=own_session))))
    sleep_and_tell(path)


def test_everything_a_killed_process_started_ends_with_it(server, tmp_path):
    number, _ = server.start((have_children_and_sleep, tmp_path / "job", True))
    pid = int(wait_until(lambda: (tmp_path / "job").exists() and (tmp_path / "job").read_text()))
    descendants = [int(text) for text in (tmp_path / "job.children").read_text().split()]
    assert all(map(is_running, descendants))
    os.kill(pid, signal.SIGKILL)
    assert wait_for_the_end(server) == {number: -signal.SIGKILL}
    wait_until(lambda: not any(map(is_running, descendants)), about="its descendants end")


def test_the_end_of_one_process_leaves_the_others_and_their_children_alone(server, tmp_path):
    server.start((have_children_and_sleep, tmp_path / "job", True))
    wait_until((tmp_path / "job").exists)
    number, _ = server.start((abs, 1))
    assert wait_for_the_end(server) == {number: 0}
    assert all(is_running(int(text)) for text in (tmp_path / "job.children").read_text().split())


def test_a_signal_reaches_a_process_and_the_rest_of_its_session(server, tmp_path):
    number, _ = server.start((have_children_and_sleep, tmp_path / "job", False))
    wait_until((tmp_path / "job").exists)
    descendants = [int(text) for text in (tmp_path / "job.children").read_text().split()]
    server.signal(number, signal.SIGTERM)
    assert wait_for_the_end(server) == {number: -signal.SIGTERM}
    wait_until(lambda: not any(map(is_running, descendants)))


def test_a_signal_for_an_ended_process_reaches_no_other(server, tmp_path):
    number, _ = server.start((abs, 1))
    wait_for_the_end(server)
    _, pid = sleeper(server, tmp_path / "job")
    server.signal(number, signal.SIGKILL)
    assert result_of(server, abs, -1) == 1
    assert is_running(pid)


WATCHER = """
import sys, time
from pathlib import Path
from attnwatch.system.forkserver import ForkServer
from tests.support import call
from tests.unit.attnwatch.system.test_forkserver import sleep_and_tell
server = ForkServer(call)
server.start((sleep_and_tell, Path(sys.argv[1])))
print(server._pid, flush=True)
time.sleep(600)
"""


def test_processes_and_their_server_end_when_the_watcher_is_killed(tmp_path):
    command = [sys.executable, "-c", WATCHER, str(tmp_path / "job")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[4]) as watcher:
        try:
            server = int(watcher.stdout.readline())
            job = int(wait_until(lambda: (tmp_path / "job").exists() and (tmp_path / "job").read_text()))
            assert is_running(server)
            assert is_running(job)
        finally:
            watcher.kill()
    wait_until(lambda: not is_running(server) and not is_running(job), about="they end with the watcher")


def kill_server(server):
    pid = result_of(server, family)[1]
    wait_for_the_end(server)
    os.kill(pid, signal.SIGKILL)
    return pid


def test_processes_end_when_their_server_is_killed_and_the_watcher_notices(server, tmp_path):
    _, job = sleeper(server, tmp_path / "job")
    kill_server(server)
    with pytest.raises(EOFError):
        wait_until(server.ended)
    wait_until(lambda: not is_running(job), about="the process ends with its server")


def test_the_watcher_also_notices_a_server_that_is_killed_with_orders_unread(server):
    pid = result_of(server, family)[1]
    wait_for_the_end(server)
    os.kill(pid, signal.SIGSTOP)
    server.start((abs, 1))
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EOFError):
        wait_until(server.ended)


def test_nothing_can_be_started_after_the_server_has_ended(server):
    pid = kill_server(server)
    wait_until(lambda: not is_running(pid))
    with pytest.raises(OSError, match="Broken pipe"):
        server.start((abs, 1))
    server.signal(1, signal.SIGTERM)  # is ignored


def test_closing_ends_every_process_and_leaves_no_zombie(server, tmp_path):
    _, job = sleeper(server, tmp_path / "job")
    pid = result_of(server, family)[1]
    server.close()
    assert not is_running(job)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    server.close()


def ignore_term_and_sleep(path):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleep_and_tell(path)


def test_closing_also_ends_processes_that_ignore_signals(server, tmp_path):
    server.start((ignore_term_and_sleep, tmp_path / "job"))
    pid = int(wait_until(lambda: (tmp_path / "job").exists() and (tmp_path / "job").read_text()))
    server.close()
    assert not is_running(pid)


def test_a_process_that_cannot_be_forked_ends_with_the_reason(monkeypatch):
    forks = iter([os.fork])

    def fork():
        """Fork once, for the server, and fail after that."""
        for real in forks:
            return real()
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("attnwatch.system.forkserver.os.fork", fork)
    server = ForkServer(call)
    try:
        number, _ = server.start((abs, 1))
        assert wait_for_the_end(server)[number].errno == errno.EAGAIN
    finally:
        server.close()


@pytest.mark.parametrize("free", range(4))
def test_without_file_descriptors_nothing_is_started_and_the_server_survives(server, free):
    assert result_of(server, abs, -1) == 1
    with few_descriptors(free), contextlib.suppress(OSError):
        server.start((abs, 1))[1].close()
        assert free >= 2
    assert result_of(server, abs, -2) == 2
    assert result_of(server, abs, -3) == 3


def test_a_server_without_file_descriptors_reports_that_and_survives(server):
    pid = result_of(server, os.getppid)
    wait_for_the_end(server)
    used = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    first_unused = next(number for number in itertools.count() if number not in used)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (first_unused, before[1]))
    for _ in range(2):
        number, results = server.start((abs, 1))
        results.close()
        assert wait_for_the_end(server)[number].errno == errno.EMFILE
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert result_of(server, abs, -1) == 1


def descriptors():
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_processes_leave_no_file_descriptor_behind(server):
    result_of(server, abs, 1)
    opened, there = opened_since(), result_of(server, descriptors)
    for _ in range(5):
        result_of(server, abs, 1)
    assert not opened()
    assert result_of(server, descriptors) == there


def test_the_end_of_a_process_is_noticed_even_if_the_caller_has_blocked_sigchld():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    try:
        server = ForkServer(call)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    try:
        number, results = server.start((divmod, 7, 3))
        results.close()
        assert list(wait_for_the_end(server)) == [number]
    finally:
        server.close()


def test_signals_that_are_blocked_for_the_fork_are_unblocked_in_the_caller(server):
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


def test_a_server_that_cannot_be_forked_is_an_error_and_leaves_no_descriptor(monkeypatch):
    def fail():
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    opened = opened_since()
    monkeypatch.setattr(os, "fork", fail)
    with pytest.raises(BlockingIOError):
        ForkServer(call)
    assert not opened()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


def test_a_stopped_server_ends_with_its_caller(tmp_path):
    server = ForkServer(call)
    try:
        pid = result_of(server, os.getppid)
        os.kill(pid, signal.SIGSTOP)
    finally:
        server.close()
    assert not is_running(pid)
