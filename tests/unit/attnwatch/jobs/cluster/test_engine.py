import time
from pathlib import Path

import pytest

from attnwatch.contract.receipts import NOTHING, Place
from attnwatch.errors import EngineError, JobError, WorkerLostError
from attnwatch.jobs.video import Job
from attnwatch.jobs.work import Result
from attnwatch.settings import Visualization, Watcher
from tests.chaos.material import Material
from tests.chaos.processes import Process
from tests.support import read_receipt, wait_until

pytest.importorskip("distributed", reason="needs the extra attnwatch[dask]")

from attnwatch.jobs.cluster.address import Address
from attnwatch.jobs.cluster.engine import DaskEngine
from attnwatch.jobs.cluster.paths import PathMap
from tests.clusters import kill, running_cluster

NO_MAP = PathMap()
LONG = 120.0  # seconds to wait for a process, enough on a busy machine


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def cluster(folder):
    with running_cluster(folder / "processes", 2, stubbed=True, CHAOS_LOG=str(folder / "jobs.jsonl")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def material(folder):
    return Material(folder / "material")


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "outputs"
    root.mkdir()
    return root


@pytest.fixture(autouse=True)
def _ends_are_waited_for(monkeypatch):
    """However busy the machine is: connections and jobs would be left to the tests that come after."""
    for module in ("connecting", "sent", "session"):
        monkeypatch.setattr(f"attnwatch.jobs.cluster.{module}._END", 60.0)


@pytest.fixture
def engine(cluster, root):
    with open_engine(cluster, root) as engine:
        yield engine


def open_engine(cluster, root, paths=NO_MAP):
    return DaskEngine(Address.of(cluster.address), lambda: [(root, True)], paths)


def job(manifest, timeout=600.0):
    place = Place(manifest, f"{manifest.parent.name}_vid001", manifest.parent / "attention_videos")
    settings = Visualization(visualization_timeout=timeout, static_duration=0.1, quality="fast")
    return Job(place, NOTHING, settings, None, Watcher(), video_may_be_absent=False)


def until_ended(engine, number=1):
    finished, limit = [], time.monotonic() + LONG
    while len(finished) < number and time.monotonic() < limit:
        finished += engine.wait(1.0)
    assert len(finished) == number
    return finished


def began(folder, manifest):
    """Return the process that renders a video, once it has begun."""

    def pid():
        lines = (folder / "jobs.jsonl").read_text().splitlines() if (folder / "jobs.jsonl").exists() else []
        own = [line for line in lines if f'"{manifest}"' in line and '"start"' in line]
        return own and int(own[-1].partition('"pid": ')[2].partition(",")[0])

    return Process.of(wait_until(pid, LONG, f"the rendering of {manifest}"))


def test_a_job_ends_as_on_this_machine_and_is_named_where_jobs_are_listed(engine, cluster, folder, material, root):
    fine = job(material.add(root / "kiss" / "videos" / "prompt_001", prompt="sleep 2"))
    engine.start(fine)
    worker = wait_until(lambda: engine.wait(0.2) == [] and engine.worker_of(fine), LONG, "its worker")
    assert worker.startswith("tcp://127.0.0.1:")
    assert engine.running == 1
    (ended,) = until_ended(engine)
    assert ended.job is fine
    assert isinstance(ended.outcome, Result)
    assert ended.outcome.receipt.status == "rendered"
    assert read_receipt(fine.place.manifest)["status"] == "rendered"
    assert fine.label == "render-kiss/prompt_001_vid001"
    assert (engine.running, engine.worker_of(fine), engine.slots) == (0, None, 4)


def test_jobs_that_crash_and_that_hang_end_as_on_this_machine(engine, material, root):
    crash, hang = (material.add(root / "a" / "videos" / name, prompt=name) for name in ("crash", "hang"))
    engine.start(job(crash))
    engine.start(job(hang, timeout=1.0))
    outcomes = {ended.job.place.manifest: ended.outcome for ended in until_ended(engine, 2)}
    assert all(isinstance(outcome, JobError) for outcome in outcomes.values())
    assert "ended by SIGSEGV without a result" in str(outcomes[crash])
    assert "not finished after 1 s" in str(outcomes[hang])


def test_paths_of_workers_may_be_others_than_those_here(cluster, material, root, tmp_path):
    (tmp_path / "there").symlink_to(root)
    fine = job(material.add(root / "a" / "videos" / "prompt_001"))
    here = Path("/nowhere")
    moved = Job(
        Place(here / fine.place.manifest.relative_to(root), fine.place.video_id, here / "a/videos/prompt_001/out"),
        NOTHING,
        fine.settings,
        None,
        fine.watcher,
        video_may_be_absent=False,
    )
    with open_engine(cluster, here, PathMap.of([f"{here}={tmp_path / 'there'}"])) as engine:
        engine.start(moved)
        (ended,) = until_ended(engine)
    assert isinstance(ended.outcome, Result), ended
    assert ended.outcome.receipt.status == "rendered"
    assert (root / "a/videos/prompt_001/out").is_dir()


def test_a_folder_may_lose_all_that_was_in_it_when_the_watcher_began(cluster, material, root, monkeypatch):
    monkeypatch.setattr("attnwatch.jobs.cluster.session._LOOK_AGAIN", 0.0)
    (root / "old").mkdir()
    manifest = material.add(root / "new" / "videos" / "prompt_001", prompt="tiny")
    with open_engine(cluster, root) as engine:
        (root / "old").rmdir()
        for _ in range(10):  # some may be sent before the watcher has looked again
            engine.start(job(manifest))
            (ended,) = until_ended(engine)
            if isinstance(ended.outcome, Result):
                break
            wait_until(lambda: engine.wait(0.2) == [] and engine.slots, LONG, "workers that are fit")
        assert ended.outcome.receipt.status == "rendered"


def test_stopping_ends_the_jobs_on_their_workers(cluster, folder, material, root):
    manifest = material.add(root / "a" / "videos" / "prompt_001", prompt="sleep 600")
    with open_engine(cluster, root) as engine:
        engine.start(job(manifest))
        process = began(folder, manifest)
        start = time.monotonic()
        assert engine.stop() == []
        assert time.monotonic() - start < LONG  # the job itself takes 600 s
    wait_until(lambda: not process.is_running, LONG, "the end of the job")
    assert read_receipt(manifest) is None


def test_a_job_whose_worker_is_killed_starts_again_on_another_one(cluster, folder, material, root):
    manifest = material.add(root / "a" / "videos" / "prompt_001", prompt="sleep 3")
    with open_engine(cluster, root) as engine:
        lost = job(manifest)
        engine.start(lost)
        address = wait_until(lambda: engine.wait(0.2) == [] and engine.worker_of(lost), LONG, "its worker")
        process = began(folder, manifest)
        kill(_worker_at(cluster, address))
        outcome = until_ended(engine)[0].outcome
        wait_until(lambda: not process.is_running, LONG, "the end of the first job")
        # The second one may have come while the first one still held the lock: then the watcher tries again.
        assert isinstance(outcome, Result), outcome
        assert outcome.busy or outcome.receipt.status == "rendered"
    cluster.start_worker()
    cluster.wait_for_workers(2)
    receipt = read_receipt(manifest)
    assert receipt is None or len(receipt["attempts"]) == 1


def test_jobs_are_lost_with_the_scheduler_and_others_run_when_it_is_back(cluster, folder, material, root, caplog):
    first, second = (
        material.add(root / "a" / "videos" / name, prompt=text) for name, text in (("one", "sleep 60"), ("two", "tiny"))
    )
    with open_engine(cluster, root) as engine:
        engine.start(job(first))
        began(folder, first)
        kill(cluster.scheduler)
        (ended,) = until_ended(engine)
        assert isinstance(ended.outcome, WorkerLostError)
        assert engine.slots == 0
        assert f"no scheduler answers at tcp://127.0.0.1:{cluster.port}" in engine.obstacle
        cluster.start_scheduler()
        cluster.start_worker()
        cluster.start_worker()
        wait_until(lambda: engine.wait(0.5) == [] and engine.slots == 4, LONG, "the workers")
        assert engine.obstacle is None
        engine.start(job(second))
        assert until_ended(engine)[0].outcome.receipt.status == "rendered"
    assert read_receipt(first) is None
    assert {record.name for record in caplog.records if record.levelname == "ERROR"} == set()  # such as Dask's own


def test_without_a_scheduler_the_engine_says_so_at_once(root, monkeypatch):
    monkeypatch.setattr("attnwatch.jobs.cluster.connecting.PATIENCE", 0.3)
    address = Address("tcp://127.0.0.1:9")
    with (
        pytest.raises(EngineError, match=r"found no Dask scheduler at tcp://127.0.0.1:9 .*; expected one; start it"),
        DaskEngine(address, lambda: [(root, True)], PathMap()),
    ):
        pass


def _worker_at(cluster, address):
    port = address.rpartition(":")[2]
    return next(worker for worker in cluster.workers if worker.poll() is None and _listens(worker.pid, port))


def _listens(pid, port):
    inodes = {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(
        f"socket:[{line[9]}]" in inodes
        for line in lines
        if line[3] == "0A" and int(line[1].partition(":")[2], 16) == int(port)
    )
