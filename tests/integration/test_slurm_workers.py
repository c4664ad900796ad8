"""Workers of a Dask cluster as jobs of a real Slurm, asked for and given back as `configs/dask-slurm.yaml` says."""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.material import Material, receipt_path
from tests.clusters import REPOSITORY
from tests.slurm import NEEDS_SLURM, running_slurm
from tests.support import attnwatch, environment, free_ports, read_receipt, wait_until, watching

pytestmark = NEEDS_SLURM
pytest.importorskip("dask_jobqueue", reason="needs dask-jobqueue")

CONFIGURATION = REPOSITORY / "configs/dask-slurm.yaml"
LONG = 180.0  # seconds, enough on a busy machine
SMALLER = {
    "cores: 16 ": "cores: 2 ",
    "memory: 34GiB": "memory: 4GiB",
    "wait-count: 120": "wait-count: 3",
    'dashboard_address: ":8787"': "dashboard: false",
}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with running_slurm(tmp_path_factory.mktemp("slurm")) as slurm:
        yield slurm


@pytest.fixture
def videos(tmp_path, outputs):
    """Return a function that makes videos whose rendering takes some seconds."""
    material = Material(tmp_path / "material")
    return lambda number, prompt: material.add_many(outputs / "kiss_20260102_030405", number, prompt=prompt)


@contextlib.contextmanager
def cluster(slurm, folder, **changes):
    """Run the program in the first lines of the configuration, as it stands there; yield what `--engine` takes."""
    (port,) = free_ports(1)
    text = CONFIGURATION.read_text()
    program = "\n".join(line[4:] for line in text.splitlines() if line.startswith("#   "))
    for old, new in {**SMALLER, "port: 8786": f"port: {port}", **changes}.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    place = folder / "login" / "configs" / CONFIGURATION.name
    place.parent.mkdir(parents=True)
    place.write_text(text)
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text("import tests.chaos.stubbed\n")
    variables = {
        **slurm.variables,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{folder / 'site'}:{REPOSITORY}:{os.environ.get('PYTHONPATH', '')}",
        "CHAOS_LOG": str(folder / "jobs.jsonl"),
    }
    with subprocess.Popen(
        ["bash", "-c", program],
        cwd=folder / "login",
        env=environment(**variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as running:
        try:
            said = b""
            while b"Enter ends it" not in said:
                assert select.select([running.stdout], [], [], LONG)[0], said
                block = os.read(running.stdout.fileno(), 4096)
                assert block, said
                said += block
            assert re.search(rb"scheduler at tcp://\S+:%d; " % port, said), said
            yield f"dask://127.0.0.1:{port}"
            running.communicate(b"\n", timeout=LONG)
            assert running.returncode == 0
        finally:
            running.kill()


def jobs(slurm):
    """Return the numbers of the jobs that wait or run."""
    return slurm.run("squeue", "-h", "-o", "%i").split()


def require_uncharged(manifests):
    wait_until(lambda: all(receipt_path(manifest).exists() for manifest in manifests), LONG, "the receipts")
    for manifest in manifests:
        receipt = read_receipt(manifest)
        assert (receipt["status"], len(receipt["attempts"])) == ("rendered", 1)


def test_a_job_is_asked_for_while_videos_wait_and_given_back_afterwards(slurm, outputs, videos, tmp_path):
    manifests = videos(4, "sleep 0.5")

    def status():
        return attnwatch("status", outputs).stdout

    with (
        cluster(slurm, tmp_path) as address,
        watching(outputs, "--engine", address, log=tmp_path / "log") as watcher,
    ):
        with slurm.busy():
            watcher.wait_for("the cluster has no workers yet: videos wait", LONG)
            wait_until(lambda: len(jobs(slurm)) == 1, LONG, "a job in the queue")
            wait_until(lambda: "paused: the cluster has no workers; its batch system" in status(), LONG, "a pause")
            assert re.search(r"running +0\n +waiting +4 ", status())
        require_uncharged(manifests)
        wait_until(lambda: jobs(slurm) == [], LONG, "the end of the jobs")
        wait_until(lambda: "paused" not in status(), LONG, "the end of the pause")
        assert watcher.stop(signal.SIGTERM) == 0
    assert re.search(r"the cluster has \d workers? with [24] threads\n", watcher.log)
    assert "WARNING" not in watcher.log
    assert list((tmp_path / "login" / "dask-logs").glob("attnwatch-*.err"))


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["cancelled", "lifetime"])
def test_a_job_that_ends_loses_no_video_and_charges_none(slurm, outputs, videos, tmp_path, fault):
    manifests = videos(20, "sleep 4")
    lifetimes = {'"230m", "--lifetime-stagger", "8m"': '"25s", "--lifetime-stagger", "4s"'}
    with (
        cluster(slurm, tmp_path, **(lifetimes if fault == "lifetime" else {})) as address,
        watching(outputs, "--engine", address, log=tmp_path / "log") as watcher,
    ):
        wait_until(lambda: list(outputs.rglob("*.rendered.json")), LONG, "a receipt")
        if fault == "cancelled":
            slurm.run("scancel", jobs(slurm)[0])
        require_uncharged(manifests)
        wait_until(lambda: jobs(slurm) == [], LONG, "the end of the jobs")
        assert watcher.stop(signal.SIGTERM) == 0
    assert "WARNING" not in watcher.log
    assert list(outputs.rglob(".*.lock")) == []
