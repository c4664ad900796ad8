"""A worker and the process beside it that forks jobs, which a test plays."""

import os
import threading
from multiprocessing.connection import Connection

import pytest

from attnwatch.errors import WorkerLostError
from tests.support import wait_until

pytest.importorskip("distributed", reason="needs the extra attnwatch[dask]")

from attnwatch.jobs.cluster import remote


class Played:
    """Stands for the process: the test has its end of the socket."""

    def __init__(self, _command, *, pass_fds, **_):
        self.orders = Connection(os.dup(pass_fds[0]))

    def wait(self):
        return 0


@pytest.fixture
def host(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("subprocess.Popen", Played)
        return remote._Host()


@pytest.fixture
def run(host):
    """Start a job in a thread, as tasks of a worker are; return the thread and the list that its end will be in."""

    def start(job):
        ends = []
        thread = threading.Thread(target=lambda: ends.append(host.run("key", job)), daemon=True)
        thread.start()
        return thread, ends

    return start


def test_the_end_of_a_job_is_heard_while_an_order_waits_for_its_turn(host, run):
    orders = host._process.orders
    first, ends = run("a small job")
    number, _ = orders.recv()
    second, others = run(b"a large job" * 2**20)  # more than fits into the socket
    wait_until(orders.poll, 60, "the beginning of the order")
    orders.send((number, "its end", 1.0))
    first.join(20)
    assert ends == [("its end", 1.0)]
    assert second.is_alive()
    orders.recv()
    orders.close()
    second.join(60)
    ((outcome, _),) = others
    assert isinstance(outcome, WorkerLostError)


def test_jobs_that_are_ordered_once_the_process_has_ended_are_lost(host, run):
    host._process.orders.close()
    wait_until(lambda: not host.is_alive, 60, "the end")
    thread, ends = run("a job")
    thread.join(60)
    assert isinstance(ends[0][0], WorkerLostError)


def test_dropped_jobs_are_named_to_the_process_after_their_orders(host, run):
    orders = host._process.orders
    thread, _ = run("a job")
    number, _ = orders.recv()
    host.drop({"other", "key"})
    assert orders.recv() == (number, None)
    orders.close()
    thread.join(60)
