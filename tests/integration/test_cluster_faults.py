"""A cluster that fails while a watcher works: nothing is lost or charged; only what was under way is rendered again."""

import contextlib
import os
import signal
import socket
import threading

import pytest

from tests.chaos.material import Material, receipt_path
from tests.chaos.trial import Trial
from tests.clusters import running_cluster
from tests.support import read_receipt, wait_until

pytestmark = pytest.mark.slow
pytest.importorskip("distributed", reason="needs the extra attnwatch[dask]")

LONG = 180.0  # seconds, enough on a busy machine


@pytest.fixture
def trial(tmp_path):
    return Trial(tmp_path / "trial")


@pytest.fixture
def cluster(trial, tmp_path):
    log = str(trial.folder / "jobs.jsonl")
    with running_cluster(tmp_path / "processes", 2, stubbed=True, CHAOS_LOG=log) as cluster:
        yield cluster


@pytest.fixture
def made(trial, tmp_path):
    """Return a function that makes videos whose renderings take some seconds."""
    material = Material(tmp_path / "material")
    return lambda number, prompt: material.add_many(trial.root / "kiss", number, prompt=prompt)


def require_uncharged(manifests):
    for manifest in manifests:
        receipt = read_receipt(manifest)
        assert (receipt["status"], len(receipt["attempts"])) == ("rendered", 1)


def begun(trial, number):
    wait_until(lambda: len(trial.notes("start")) >= number, LONG, f"{number} renderings")


def test_two_watchers_on_one_cluster_render_each_video_once(trial, cluster, made):
    manifests = made(12, "sleep 0.3")
    with trial.daemon("--engine", cluster.address), trial.daemon("--engine", cluster.address, "--oldest-first"):
        assert trial.wait_for_receipts(manifests, LONG) == []
    require_uncharged(manifests)
    assert set(trial.renderings().values()) == {1}


def test_the_videos_of_a_worker_that_hangs_go_elsewhere(trial, cluster, made):
    manifests = made(6, "sleep 1")
    with trial.daemon("--once", "--engine", cluster.address) as daemon:
        begun(trial, 2)
        os.kill(cluster.workers[0].pid, signal.SIGSTOP)
        try:
            assert daemon.process.wait(LONG) == 0, daemon.said
        finally:
            os.kill(cluster.workers[0].pid, signal.SIGCONT)
    require_uncharged(manifests)
    assert set(trial.renderings().values()) == {1}


@pytest.mark.parametrize("silent", [False, True])
def test_a_network_that_is_cut_for_a_while_costs_time_and_nothing_else(trial, cluster, made, silent):
    manifests = made(8, "sleep 2")
    with Proxy(cluster.port) as proxy, trial.daemon("--engine", f"dask://127.0.0.1:{proxy.port}") as daemon:
        begun(trial, 2)
        proxy.cut(silent=silent)
        daemon.wait_for("lost the connection to the scheduler", LONG)
        assert "no scheduler answers" in wait_until(lambda: trial.activities()[0]["paused"], LONG, "a pause")
        proxy.mend()
        daemon.wait_for("connected to the scheduler at", LONG)
        assert trial.wait_for_receipts(manifests, LONG) == []
        wait_until(lambda: trial.activities()[0]["paused"] is None, LONG, "the end of the pause")
        assert daemon.end()[0] == 0
    require_uncharged(manifests)
    assert max(trial.renderings().values()) <= 2


def test_a_watcher_that_is_killed_and_started_again_renders_nothing_twice(trial, cluster, made):
    manifests = made(8, "sleep 1")
    with trial.daemon("--engine", cluster.address) as daemon:
        begun(trial, 3)
        daemon.send(signal.SIGKILL)
    with trial.daemon("--once", "--engine", cluster.address) as daemon:
        assert daemon.process.wait(LONG) == 0, daemon.said
    require_uncharged(manifests)
    assert set(trial.renderings().values()) == {1}
    assert all(receipt_path(manifest).exists() for manifest in manifests)


def test_ctrl_c_ends_a_cluster_on_this_machine_without_a_word_of_its_workers(trial, tmp_path):
    manifests = Material(tmp_path / "material").add_many(trial.root / "kiss", 3)
    with trial.daemon("--engine", "dask://local?workers=2") as daemon:
        assert trial.wait_for_receipts(manifests, LONG) == []
        daemon.send(signal.SIGINT, group=True)  # as a terminal does
        assert daemon.process.wait(LONG) == 130
        assert [line for line in daemon.said.splitlines() if " INFO: " not in line] == []


class Proxy:
    """Passes connections on to a port of this machine, until it is cut."""

    def __init__(self, target):
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        self._streams = []

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listening.close()
        self._hang_up()

    def cut(self, *, silent):
        """Let nothing through, by ending the connections or without a word."""
        self._open.clear()
        if not silent:
            self._hang_up()

    def mend(self):
        self._hang_up()
        self._open.set()

    def _hang_up(self):
        for stream in self._streams:
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        self._streams.clear()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                stream, _ = self._listening.accept()
                if not self._open.is_set():
                    stream.close()
                    continue
                other = socket.create_connection(("127.0.0.1", self._target))
                self._streams += (stream, other)
                for source, target in ((stream, other), (other, stream)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source, target):
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(2**16):
                self._open.wait()
                target.sendall(data)
