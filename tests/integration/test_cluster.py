"""The watcher with its jobs on a Dask cluster: what it says and does, also when something there is wrong."""

import json
import os
import signal
import subprocess

import pytest

from tests.chaos.material import Material, receipt_path
from tests.clusters import running_cluster
from tests.integration.watcher_support import QUICK
from tests.support import attnwatch, read_receipt, wait_until, watching

pytest.importorskip("distributed", reason="needs the extra attnwatch[dask]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def material(folder):
    return Material(folder / "material")


@pytest.fixture(scope="module")
def cluster(folder):
    variables = {"CHAOS_LOG": str(folder / "jobs.jsonl"), "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "60s"}
    with running_cluster(folder / "processes", 0, stubbed=True, **variables) as cluster:
        cluster.start_worker("--name", "gpu-node-7")
        cluster.wait_for_workers(1)
        yield cluster


def test_a_single_run_of_a_relative_folder_renders_on_the_cluster(cluster, material, outputs, tmp_path):
    manifests = material.add_many(outputs / "kiss_20260102_030405", 2, prompt="real")
    done = attnwatch("outputs", "--once", *QUICK, "--engine", cluster.address, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = done.stderr
    assert said.index("connecting to the Dask scheduler at tcp://") < said.index(
        "the cluster has 1 worker with 1 thread"
    )
    for manifest in manifests:
        receipt = read_receipt(manifest)
        assert (receipt["status"], len(receipt["attempts"])) == ("rendered", 1)
    assert list(outputs.rglob(".*")) == []


def test_measure_makes_the_same_table_on_the_cluster(cluster, material, outputs):
    manifests = material.add_many(outputs / "kiss_20260102_030405", 5)
    tensors = manifests[1].parent / "attention_maps" / "vid002.safetensors"
    tensors.unlink()  # it is a link to those of all videos
    tensors.write_bytes(b"broken")
    here, there = (
        attnwatch("measure", outputs, "--engine", engine, "-f", "json") for engine in ("local", cluster.address)
    )
    assert here.returncode == there.returncode == 1  # one is broken
    assert len(json.loads(here.stdout)) == 4
    assert there.stdout == here.stdout
    assert "prompt_0001_vid002: not measured: " in there.stderr


def test_status_says_which_worker_has_what(cluster, material, outputs, tmp_path):
    material.add(outputs / "kiss" / "videos" / "prompt_001", prompt="sleep 600")
    with watching(outputs, "--engine", cluster.address, log=tmp_path / "log") as watcher:

        def running():
            found = json.loads(attnwatch("status", outputs, "--json").stdout)
            return [one for one in found["running"] if one["worker"]]

        (record,) = wait_until(running, 60, "the worker of the video")
        assert record["worker"] == "gpu-node-7"
        assert "prompt_001_vid001 on gpu-node-7 for " in attnwatch("status", outputs).stdout
        assert watcher.stop(signal.SIGTERM) == 0


def test_a_wrong_worker_is_named_within_ten_seconds_and_its_jobs_go_elsewhere(cluster, material, outputs, tmp_path):
    old = cluster.folder / "old"
    (old / "attnwatch-0.1.0.dist-info").mkdir(parents=True)
    (old / "attnwatch-0.1.0.dist-info" / "METADATA").write_text("Name: attnwatch\nVersion: 0.1.0\n")
    late = "import time\nreal = time.time\ntime.time = lambda: real() + 90\n"
    wrong = {
        "found attnwatch 0.1.0; expected attnwatch ": cluster.start_worker("--name", "old", PYTHONPATH=str(old)),
        "s ahead of the watcher's; expected less than 60 s": cluster.start_worker(
            "--name", "late", **cluster.customise(late, "late")
        ),
    }
    if os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0:
        hidden = ("unshare", "-m", "sh", "-c", f'mount -t tmpfs none "{outputs}" && exec "$@"', "sh")
        wrong[f"found other files in {outputs}; expected those of"] = cluster.start_worker("--name", "x", prefix=hidden)
    wrong["found no answer within 8 s; expected one at once"] = stopped = cluster.start_worker("--name", "stopped")
    try:
        cluster.wait_for_workers(1 + len(wrong))
        os.kill(stopped.pid, signal.SIGSTOP)
        manifests = material.add_many(outputs / "kiss", 6, prompt="sleep 0.1")
        with watching(outputs, "--engine", cluster.address, log=tmp_path / "log") as watcher:
            for text in wrong:
                watcher.wait_for(text)
            done = attnwatch("doctor", outputs, "--engine", cluster.address)
            assert "ok       worker gpu-node-7 with 1 thread is fit for jobs" in done.stdout
            for text in wrong:
                assert text.partition("; ")[0] in done.stdout
            assert done.stdout.count("would get no jobs: ") == len(wrong)
            wait_until(lambda: all(receipt_path(manifest).exists() for manifest in manifests), 60, "the receipts")
            assert watcher.log.count("gets no jobs") == len(wrong)
            assert "worker stopped gets no jobs: found no answer" in watcher.log
            assert watcher.stop(signal.SIGTERM) == 0
        assert all(len(read_receipt(manifest)["attempts"]) == 1 for manifest in manifests)
    finally:
        for worker in wrong.values():
            worker.kill()


@pytest.mark.parametrize(
    ("engine", "text"),
    [
        ("dusk://h:1", "--engine: found 'dusk://h:1'; expected local, or a Dask cluster such as"),
        ("dask://host", "--engine: found 'dask://host'; expected"),
        ("dask", "engine: found dask without an address; expected one in DASK_SCHEDULER_ADDRESS"),
    ],
)
def test_an_engine_that_is_none_is_refused(outputs, engine, text):
    done = attnwatch(outputs, "--once", "--engine", engine)
    assert (done.returncode, text in done.stderr) == (2, True), done.stderr


def test_without_the_extra_the_error_names_it(outputs, tmp_path):
    (tmp_path / "distributed.py").write_text("raise ModuleNotFoundError(name='distributed')")
    done = attnwatch(outputs, "--once", "--engine", "dask://h:1", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "install it: pip install 'attnwatch[dask]'" in done.stderr
