"""The connection to a cluster, with a client that behaves as a test says."""

import contextlib
import errno
import os
import threading

import pytest

from attnwatch.jobs.cluster.address import Address

pytest.importorskip("distributed", reason="needs the extra attnwatch[dask]")

from attnwatch.jobs.cluster import session
from attnwatch.jobs.cluster.session import Session
from tests.support import wait_until


class Client:
    """A client of a scheduler without workers. As Dask's own, it forgets the scheduler when it gives up."""

    def __init__(self):
        self.status = "running"
        self.scheduler = self

    async def ncores(self):
        return {}

    def give_up(self):
        self.status, self.scheduler = "closed", None


@pytest.fixture
def clients(monkeypatch):
    """The clients that were opened."""
    opened = []

    async def open_client(_scheduler):
        opened.append(Client())
        return opened[-1]

    async def nothing(_client):
        return None

    monkeypatch.setattr(session, "open_client", open_client)
    monkeypatch.setattr(session, "close_client", nothing)
    monkeypatch.setattr(session, "scheduler_problem", nothing)
    monkeypatch.setattr(session, "_TURN", 0.01)
    monkeypatch.setattr(session, "_LOOK_AGAIN", 0.0)
    return opened


def test_a_connection_that_is_lost_during_a_look_at_folders_is_made_again(clients):
    """A network that is cut takes both away: a mount hangs for as long as the scheduler does not answer."""
    hanging, cut = threading.Event(), threading.Event()

    def folders():
        if clients[1:] or not cut.is_set():
            return ()
        hanging.set()
        clients[0].give_up()
        return ()

    with connected(folders) as connection:
        cut.set()
        assert hanging.wait(60)
        wait_until(lambda: connection.failure is not None or len(clients) == 2, 60, "another connection")
        assert connection.failure is None


def test_a_folder_of_the_watcher_that_cannot_be_looked_at_says_nothing_about_the_cluster(clients, caplog):
    looks = []

    def folders():
        looks.append(None)
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), "/outputs")

    with connected(folders) as connection:
        wait_until(lambda: len(looks) > 2, 60, "some looks")
        assert connection.failure is None
    assert (len(clients), "lost the connection" in caplog.text) == (1, False)


@contextlib.contextmanager
def connected(folders):
    connection = Session(Address("tcp://nowhere:1"), folders, lambda *_: None, lambda: None)
    connection.open()
    try:
        yield connection
    finally:
        connection.close()
