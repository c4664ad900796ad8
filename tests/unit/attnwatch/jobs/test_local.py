import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from attnwatch.contract.receipts import NOTHING, Place
from attnwatch.errors import EngineError, JobError, SlowMachineError
from attnwatch.jobs.local import _PRELOADED, LocalEngine
from attnwatch.jobs.video import Job
from attnwatch.jobs.work import Result
from attnwatch.settings import Visualization, Watcher
from attnwatch.system.limits import Limits
from tests.support import Batch, few_descriptors, is_running, wait_until

PATIENCE = 120.0  # seconds to wait for a process, enough on a busy machine


@dataclass(frozen=True)
class Trap(Place):
    """A place that makes the process of its job misbehave when it reads the receipt."""

    behaviour: str = "none"

    def look(self):
        if self.behaviour != "none":
            pid_file = self.manifest.with_suffix(".pid")
            pid_file.with_suffix(".new").write_text(f"{os.getpid()} {self._misbehave() or 0}")
            pid_file.with_suffix(".new").rename(pid_file)
            while self.behaviour != "sleep briefly":
                time.sleep(60)
        return super().look()

    def _misbehave(self):
        if self.behaviour == "kill itself":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.behaviour == "exit":
            os._exit(3)
        if self.behaviour == "crash":
            raise RuntimeError("unexpected")
        if self.behaviour == "ignore TERM":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.behaviour == "have a child":
            return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid
        return None


@pytest.fixture(scope="module", autouse=True)
def _preloaded():
    """Import the modules that every fork server preloads, so that each inherits them."""
    for name in _PRELOADED:
        import_module(name)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return Batch.make(tmp_path_factory.mktemp("engine")).add()


@pytest.fixture
def engine():
    with LocalEngine() as engine:
        yield engine


def job(manifest, behaviour="none", timeout=600.0):
    place = Trap(manifest, f"video_{behaviour.replace(' ', '_')}", manifest.parent / "attention_videos", behaviour)
    place.path.unlink(missing_ok=True)
    manifest.with_suffix(".pid").unlink(missing_ok=True)
    settings = Visualization(visualization_timeout=timeout, static_duration=0.1, quality="fast")
    return Job(place, NOTHING, settings, None, Watcher(), video_may_be_absent=False)


def pids(manifest):
    """Wait until the job runs; return its process id and that of its child, 0 if it has none."""
    path = manifest.with_suffix(".pid")
    text = wait_until(lambda: path.exists() and path.read_text(), PATIENCE, about="the job runs")
    return [int(pid) for pid in text.split()]


def finished(engine, count=1):
    """Wait until `count` jobs have ended; return them."""
    ended = []
    limit = time.monotonic() + PATIENCE
    while len(ended) < count:
        assert time.monotonic() < limit
        ended += engine.wait(1.0)
    return ended


def test_a_finished_job_returns_its_receipt(engine, manifest):
    engine.start(job(manifest))
    assert engine.running == 1
    (done,) = finished(engine)
    assert isinstance(done.outcome, Result)
    assert done.outcome.receipt.status == "rendered"
    assert done.job.place.video_id == "video_none"
    assert done.seconds > 0
    assert engine.running == 0


def test_wait_without_jobs_lasts_for_its_timeout(engine):
    start = time.monotonic()
    assert engine.wait(0.1) == []
    assert 0.05 < time.monotonic() - start < PATIENCE


def test_wait_returns_when_another_connection_is_readable(engine):
    reader, writer = os.pipe()
    os.write(writer, b".")
    start = time.monotonic()
    engine.wait(2 * PATIENCE, [reader])
    assert time.monotonic() - start < PATIENCE
    os.close(reader)
    os.close(writer)


def test_a_job_runs_in_its_own_session(engine, manifest):
    engine.start(job(manifest, "hang"))
    pid, _ = pids(manifest)
    assert os.getsid(pid) == pid != os.getsid(0)


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ("kill itself", "was ended by SIGKILL"),
        ("exit", "exited with code 3"),
        ("crash", "failed with RuntimeError: unexpected"),
    ],
)
def test_a_job_without_a_result_returns_an_error_that_says_how_it_ended(engine, manifest, behaviour, expected):
    engine.start(job(manifest, behaviour))
    (done,) = finished(engine)
    assert isinstance(done.outcome, JobError)
    assert expected in str(done.outcome)


def test_a_crashed_job_does_not_affect_others(engine, manifest):
    engine.start(job(manifest, "kill itself"))
    engine.start(job(manifest))
    outcomes = {done.job.place.behaviour: done.outcome for done in finished(engine, 2)}
    assert isinstance(outcomes["kill itself"], JobError)
    assert outcomes["none"].receipt.status == "rendered"


def test_a_job_past_its_deadline_is_ended(engine, manifest):
    engine.start(job(manifest, "hang", timeout=1.0))
    pid, _ = pids(manifest)
    (done,) = finished(engine)
    assert "not finished after 1 s; raise visualization_timeout" in str(done.outcome)
    assert not is_running(pid)


def test_a_late_job_that_ignores_sigterm_is_killed(engine, manifest, monkeypatch):
    monkeypatch.setattr("attnwatch.jobs.local._KILL_AFTER", 0.2)
    engine.start(job(manifest, "ignore TERM", timeout=1.0))
    pid, _ = pids(manifest)
    (done,) = finished(engine)
    assert "not finished after 1 s" in str(done.outcome)
    assert not is_running(pid)


def test_the_children_of_a_late_job_end_with_it(engine, manifest):
    engine.start(job(manifest, "have a child", timeout=2.0))
    pid, child = pids(manifest)
    assert is_running(child)
    finished(engine)
    wait_until(lambda: not is_running(pid) and not is_running(child), PATIENCE)


def test_stop_leaves_no_process(manifest):
    with LocalEngine() as engine:
        processes = []
        for behaviour in ("hang", "ignore TERM", "have a child"):
            engine.start(job(manifest, behaviour))
            processes += [pid for pid in pids(manifest) if pid]
        assert all(map(is_running, processes))
    assert engine.running == 0
    wait_until(lambda: not any(map(is_running, processes)), PATIENCE)


def test_a_killed_job_releases_its_lock(engine, manifest):
    engine.start(job(manifest, "hang"))
    pid, _ = pids(manifest)
    os.kill(pid, signal.SIGKILL)
    finished(engine)
    engine.start(job(manifest, "sleep briefly"))
    (done,) = finished(engine)
    assert done.outcome.receipt.status == "rendered"


def server_of(manifest, engine):
    """Start a job that hangs; return its process id and that of its fork server."""
    engine.start(job(manifest, "hang"))
    pid, _ = pids(manifest)
    return pid, int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_wait_reports_a_killed_server_and_no_job_is_left(engine, manifest):
    pid, server = server_of(manifest, engine)
    os.kill(server, signal.SIGKILL)
    with pytest.raises(EngineError, match="has ended, and the running renderings with it"):
        finished(engine)
    assert engine.running == 0
    wait_until(lambda: not is_running(pid), PATIENCE)
    with pytest.raises(EngineError, match="is not running"):
        engine.start(job(manifest))


@pytest.fixture
def stopped_server(engine, manifest, monkeypatch):
    """The fork server, stopped by a signal; what it does not end is abandoned soon."""
    for name in ("_KILL_AFTER", "_LEFT_AFTER"):
        monkeypatch.setattr(f"attnwatch.jobs.local.{name}", 0.2)
    server = engine.server._pid
    os.kill(server, signal.SIGSTOP)
    yield
    os.kill(server, signal.SIGCONT)


def test_a_job_that_a_stopped_server_does_not_begin_is_no_failed_attempt(engine, manifest, stopped_server):
    engine.start(job(manifest, timeout=0.2))
    (done,) = finished(engine)
    assert isinstance(done.outcome, SlowMachineError)


def test_a_job_that_ends_while_its_server_is_stopped_keeps_its_result(engine, manifest, monkeypatch):
    for name in ("_KILL_AFTER", "_LEFT_AFTER"):
        monkeypatch.setattr(f"attnwatch.jobs.local.{name}", 0.2)
    engine.start(job(manifest, "sleep briefly", timeout=2.0))
    pid, _ = pids(manifest)
    server = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(server, signal.SIGSTOP)
    try:
        wait_until(lambda: not is_running(pid), PATIENCE)
        (done,) = finished(engine)
    finally:
        os.kill(server, signal.SIGCONT)
    assert done.outcome.receipt.status == "rendered"


def test_start_reports_a_killed_server(engine, manifest):
    pid, server = server_of(manifest, engine)
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not is_running(server) and not is_running(pid), PATIENCE)
    with pytest.raises(EngineError, match="has ended"):
        engine.start(job(manifest))
    engine.stop()


def test_stop_raises_no_error_after_the_server_was_killed(engine, manifest):
    pid, server = server_of(manifest, engine)
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not is_running(server) and not is_running(pid), PATIENCE)
    engine.stop()
    assert engine.running == 0


def test_an_engine_starts_nothing_outside_of_its_context(manifest):
    with pytest.raises(EngineError, match="is not running"):
        LocalEngine().start(job(manifest))
    with LocalEngine() as engine:
        pass
    with pytest.raises(EngineError, match="is not running"):
        engine.start(job(manifest))


def test_an_engine_says_if_no_process_can_be_started(monkeypatch):
    def fail():
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", fail)
    with pytest.raises(EngineError, match="ulimit -u"), LocalEngine():
        pass


def test_stop_does_not_wait_for_a_job_that_ignores_sigterm(engine, manifest):
    engine.start(job(manifest, "ignore TERM"))
    pid, _ = pids(manifest)
    start = time.monotonic()
    engine.stop()
    assert time.monotonic() - start < PATIENCE  # its own limit is 600 s
    assert engine.running == 0
    wait_until(lambda: not is_running(pid), PATIENCE)


def test_a_process_that_survives_sigkill_is_abandoned(engine, manifest, monkeypatch):
    monkeypatch.setattr("attnwatch.jobs.local._KILL_AFTER", 0.1)
    monkeypatch.setattr("attnwatch.jobs.local._LEFT_AFTER", 0.1)
    monkeypatch.setattr(engine.server, "signal", lambda number, what: None)
    engine.start(job(manifest, "hang", timeout=0.5))
    (done,) = finished(engine)
    assert "its process cannot be ended" in str(done.outcome)
    assert engine.running == 0


@dataclass(frozen=True)
class Computation:
    """Work that computes for a number of seconds of processor time, on one processor."""

    seconds: float
    limit: float
    core: int

    @property
    def limits(self):
        return Limits(self.limit)

    @property
    def home(self):
        return None

    def run(self):
        os.sched_setaffinity(0, {self.core})
        while time.process_time() < self.seconds:
            pass
        return "computed"


@pytest.fixture
def busy_core():
    """A processor on which three other programs compute, each in a session of its own."""
    core = min(os.sched_getaffinity(0))
    program = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    others = [subprocess.Popen([sys.executable, "-c", program], start_new_session=True) for _ in range(3)]
    yield core
    for other in others:
        other.kill()
        other.wait()


def test_time_spent_waiting_for_a_processor_does_not_count(engine, busy_core):
    engine.start(Computation(1.0, limit=1.5, core=busy_core))
    (done,) = finished(engine)
    assert done.outcome == "computed"
    assert done.seconds > 1.5


def test_a_job_that_computes_without_end_is_ended_although_it_has_to_wait(engine, busy_core):
    engine.start(Computation(3600, limit=1.0, core=busy_core))
    (done,) = finished(engine)
    assert isinstance(done.outcome, JobError)
    assert "not finished after 1 s" in str(done.outcome)
    assert done.seconds > 1.5


def test_a_starved_job_is_ended_in_the_end_without_having_failed(engine, busy_core, monkeypatch):
    monkeypatch.setattr("attnwatch.jobs.deadline.LONGEST", 1.1)
    engine.start(Computation(3600, limit=2.0, core=busy_core))
    (done,) = finished(engine)
    assert isinstance(done.outcome, SlowMachineError)
    assert str(done.outcome).startswith("slow machine: the job got only ")


def test_a_stopped_job_is_not_late_before_it_has_had_its_time(engine, manifest):
    engine.start(job(manifest, "hang", timeout=1.5))
    pid, _ = pids(manifest)
    os.kill(pid, signal.SIGSTOP)
    limit = time.monotonic() + 4.0
    while time.monotonic() < limit:
        assert engine.wait(0.5) == []
    assert is_running(pid)
    os.kill(pid, signal.SIGCONT)
    (done,) = finished(engine)
    assert "not finished after 1.5 s" in str(done.outcome)


def test_a_job_that_spins_is_ended_by_its_processor_limit_if_nobody_watches_it(monkeypatch):
    monkeypatch.setattr("attnwatch.system.limits._SPARE_SECONDS", 0)
    with LocalEngine() as engine:
        monkeypatch.setattr(engine, "_may_go_on", lambda number, running: True)
        engine.start(Computation(3600, limit=0.5, core=min(os.sched_getaffinity(0))))
        (done,) = finished(engine)
    assert "stopped by the limit on its processor time; raise visualization_timeout" in str(done.outcome)


@dataclass(frozen=True)
class Answer:
    """Work whose result is a text of a given length."""

    length: int

    @property
    def limits(self):
        return Limits(600)

    @property
    def home(self):
        return None

    def run(self):
        return "x" * self.length


def test_a_result_larger_than_a_pipe_arrives_whole(engine):
    engine.start(Answer(2**20))
    (done,) = finished(engine)
    assert done.outcome == "x" * 2**20


def test_a_job_whose_folder_was_renamed_is_not_tried(engine, manifest, tmp_path):
    gone = Batch.make(tmp_path).add(source=False)
    engine.start(job(gone))
    finished(engine)
    todo = job(gone)
    gone.parent.rename(tmp_path / "renamed")
    engine.start(todo)
    (done,) = finished(engine)
    assert done.outcome.receipt is None
    assert "No such file" in done.outcome.obstacle
    assert done.outcome.shortage is None
    assert not gone.parent.exists()


def test_without_file_descriptors_start_fails_and_running_jobs_continue(engine, manifest):
    engine.start(job(manifest, "hang"))
    pid, _ = pids(manifest)
    for free in range(2):
        with few_descriptors(free), pytest.raises(OSError, match="Too many open files"):
            engine.start(job(manifest))
    assert engine.running == 1
    assert is_running(pid)
    engine.start(Answer(1))
    assert [done.outcome for done in finished(engine)] == ["x"]


def test_a_job_that_cannot_be_forked_returns_the_systems_error(monkeypatch, manifest):
    with LocalEngine() as engine:
        number, _ = started = engine.server.start(Answer(1))
        monkeypatch.setattr(engine.server, "start", lambda work: started)
        monkeypatch.setattr(engine.server, "ended", lambda: [(number, OSError(errno.EAGAIN, "too many processes"))])
        engine.start(Answer(1))
        (done,) = engine.wait(PATIENCE)
        assert done.outcome.errno == errno.EAGAIN
