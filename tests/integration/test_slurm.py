"""The examples for Slurm as jobs of a real one, which cancels them, starts them again, and loses nodes."""

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.generator_support import assert_whole, read
from tests.slurm import NEEDS_SLURM, running_slurm
from tests.support import read_receipt, wait_until

pytestmark = NEEDS_SLURM
ARRAY = Path(__file__).parents[2] / "configs/slurm-array.sbatch"
LONG = 300.0  # seconds, enough on a busy machine
# Instead of the real one, which takes seconds to start: it says how it was called, and when it is asked to stop.
STUB = """#!/bin/sh
trap 'echo asked to stop; exit 143' TERM
echo "called with $* and GPU $CUDA_VISIBLE_DEVICES"
while :; do sleep 0.1; done
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with running_slurm(tmp_path_factory.mktemp("slurm"), nodes=3) as slurm:
        yield slurm


@pytest.fixture
def stub(tmp_path):
    """Put a stub in the place of Python; return the variables that jobs need."""
    program = tmp_path / "bin" / "python"
    program.parent.mkdir()
    program.write_text(STUB)
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:/usr/bin:/bin"}


def logged(folder, name, text, times=1):
    """Wait until a log contains a text some times; return it."""
    log = folder / f"attention-{name}.log"

    def there():
        found = log.read_text() if log.exists() else ""
        return found if found.count(text) >= times else None

    return wait_until(there, LONG, f"{text!r} in {log.name}")


def test_jobs_of_an_array_are_stopped_cleanly_and_started_again_in_the_same_log(slurm, stub, tmp_path):
    job = slurm.submit("--array=1-3", ARRAY, "outputs/kiss", "--template", "a b", cwd=tmp_path, **stub)
    for element in (1, 2, 3):
        log = logged(tmp_path, f"{job}-{element}", "called with")
        assert re.fullmatch(
            rf"job {job}_{element}, start 1, on \S+\n"
            r"called with -m generator --claim outputs/kiss --template a b and GPU 0\n",
            log,
        )
    slurm.run("scancel", "--signal=TERM", "--batch", f"{job}_1")  # as `--signal=B:TERM@120` does before the end
    slurm.run("scancel", f"{job}_2")
    slurm.requeue(f"{job}_3")
    assert logged(tmp_path, f"{job}-1", "asked to stop").count("asked to stop") == 1
    assert logged(tmp_path, f"{job}-2", "asked to stop").count("asked to stop") == 1
    again = logged(tmp_path, f"{job}-3", "called with", 2)
    assert again.count("asked to stop") == 1
    assert f"job {job}_3, start 2, on " in again
    slurm.run("scancel", job)
    states = slurm.wait_for(job, "FAILED", "CANCELLED")
    assert states == {"1": "FAILED", "2": "CANCELLED", "3": "CANCELLED"}


@pytest.mark.slow
def test_a_job_is_stopped_cleanly_before_its_time_is_over(slurm, stub, tmp_path):
    limit = ("--time=1", "--signal=B:TERM@45")  # minutes, and seconds before that
    job = slurm.submit("--array=1", *limit, ARRAY, "outputs/kiss", cwd=tmp_path, **stub)
    log = logged(tmp_path, f"{job}-1", "asked to stop")
    assert log.count("asked to stop") == 1
    assert "DUE TO TIME LIMIT" not in log
    assert slurm.wait_for(job, "FAILED") == {"1": "FAILED"}


@pytest.mark.slow
def test_jobs_that_come_and_go_make_each_video_once_and_a_watcher_renders_them_afterwards(slurm, tmp_path):
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    template = ("--template", "a (circle) that moves [left|right|up]", "--videos-per-variation", "4", "--steps", "40")
    first = slurm.submit("--array=1-4", ARRAY, "outputs/circle", *template, cwd=tmp_path, **path)
    render = "attnwatch outputs/circle --once --set static_duration=0.2"
    watcher = slurm.submit(f"--dependency=afterany:{first}", "--wrap", render, cwd=tmp_path, **path)
    for element in (1, 2, 3):
        logged(tmp_path, f"{first}-{element}", ": video ")
    slurm.run("scancel", f"{first}_1")
    assert "left to the other processes" in logged(tmp_path, f"{first}-1", "is left to")
    slurm.requeue(f"{first}_2")
    node = slurm.run("squeue", "-h", "-j", f"{first}_3", "-o", "%N").strip()
    slurm.fail_node(node)
    more = slurm.submit("--array=1", ARRAY, "outputs/circle", cwd=tmp_path, **path)
    slurm.start_node(node)
    slurm.run("scontrol", "update", f"nodename={node}", "state=resume")

    assert slurm.wait_for(first, "COMPLETED", "CANCELLED", seconds=LONG)["1"] == "CANCELLED"
    assert slurm.wait_for(more, "COMPLETED", seconds=LONG) == {"1": "COMPLETED"}
    assert slurm.wait_for(watcher, "COMPLETED", seconds=LONG) == {"0": "COMPLETED"}
    batch = tmp_path / "outputs" / "circle"
    assert read(batch / "batch.complete.json")["counts"] == {"expected": 12, "complete": 12, "failed": 0}
    assert_whole(batch)
    assert list(batch.glob(".*")) == []
    logs = "".join(path.read_text() for path in tmp_path.glob("attention-*.log"))
    made = Counter(re.findall(r": video \d+/12 (\S+) ", logs))
    assert (len(made), set(made.values())) == (12, {1})
    for manifest in batch.rglob("*.complete.json"):
        if manifest.name != "batch.complete.json":
            assert read_receipt(manifest)["status"] == "rendered"
