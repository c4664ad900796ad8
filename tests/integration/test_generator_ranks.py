"""One batch, several processes: two, with a real launcher and without."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest

from generator.batch import leases
from tests.forking import run_program
from tests.integration.generator_support import (
    LIMIT,
    assert_whole,
    batch_below,
    contents,
    environment,
    generated,
    generating,
    manifests,
    read,
    wait_for,
)

BATCH = ["--template", "a (kiss) between [two men|two women|a man and woman]", "--videos-per-variation", "2"]
SMALL = [*BATCH, "--device", "cpu", "--width", "32", "--height", "32", "--frames", "5"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A batch made by one process, for comparison."""
    output = tmp_path_factory.mktemp("alone")
    code, log = generated(*SMALL, "--steps", "2", "--output", output)
    assert code == 0, log
    return batch_below(output)


@contextmanager
def both(*arguments, run=run_program, hosts=1):
    """Start two processes on each host, as a launcher would; kill them at the end of the context if they still run."""
    common = {"WORLD_SIZE": str(2 * hosts), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    with ExitStack() as stack:
        yield [
            stack.enter_context(generating(*arguments, run=run, **common, RANK=str(rank), LOCAL_RANK=str(rank % 2)))
            for rank in range(2 * hosts)
        ]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def run_elsewhere(*arguments):
    """Run the generator as if on another host than the others, whose processes its kernel knows nothing of."""
    leases._kernel = lambda: None
    return run_program(*arguments)


def test_the_processes_of_a_launcher_make_one_batch_together(tmp_path, alone):
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launcher += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    arguments = ["-m", "generator", *SMALL, "--steps", "2", "--output", str(tmp_path)]
    result = subprocess.run(
        [*launcher, *arguments], env=environment(), capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert result.returncode == 0, result.stderr
    folder = batch_below(tmp_path)
    assert contents(folder) == contents(alone)
    assert_whole(folder)
    assert read(folder / "batch.complete.json")["counts"] == {"expected": 6, "complete": 6, "failed": 0}
    made = [line.partition("INFO: [")[2] for line in result.stderr.splitlines() if "] video " in line]
    assert sorted(line[0] for line in made) == ["0", "0", "0", "1", "1", "1"]
    assert len({line.split()[3] for line in made}) == 6
    assert result.stderr.count("is complete, 6 of 6 videos") == 1


def test_the_processes_of_two_hosts_make_one_batch_together(tmp_path, alone):
    with both(*SMALL, "--steps", "2", "--output", tmp_path, run=run_elsewhere, hosts=2) as processes:
        logs = [process.stderr.read() for process in processes]
        assert [process.wait(timeout=LIMIT) for process in processes] == [0] * 4, logs
    folder = batch_below(tmp_path)
    assert contents(folder) == contents(alone)
    assert read(folder / "batch.complete.json")["counts"] == {"expected": 6, "complete": 6, "failed": 0}
    assert [log.count("] video ") for log in logs] == [2, 2, 1, 1]
    assert list(folder.rglob(".*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("claim", [False, True])
def test_two_launchers_of_torch_on_two_hosts_make_one_batch_together(tmp_path, alone, claim):
    program = tmp_path / "elsewhere.py"
    program.write_text(
        "import sys; from tests.integration.test_generator_ranks import run_elsewhere; "
        "sys.exit(run_elsewhere('generator', *sys.argv[1:]))"
    )
    where = ["--claim", tmp_path / "outputs" / "kiss"] if claim else ["--output", tmp_path / "outputs"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "2"]
    launcher += ["--master_addr", "127.0.0.1", "--master_port", free_port()]
    arguments = map(str, [program, *SMALL, "--steps", "2", *where])
    command = [*launcher, "--node_rank", "{}", *arguments]
    hosts = [
        subprocess.Popen([part.format(host) for part in command], env=environment(), stderr=subprocess.PIPE, text=True)
        for host in range(2)
    ]
    logs = [host.communicate(timeout=LIMIT)[1] for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], logs
    folder = batch_below(tmp_path / "outputs")
    assert contents(folder) == contents(alone)
    assert read(folder / "batch.complete.json")["counts"] == {"expected": 6, "complete": 6, "failed": 0}
    assert sum(log.count("] video ") for log in logs) == 6
    assert "".join(logs).count("is complete, 6 of 6 videos") == 1


def test_the_death_of_a_process_is_reported_and_a_resumption_makes_its_videos(tmp_path):
    with both(*SMALL, "--steps", "20", "--output", tmp_path) as (first, second):
        wait_for(lambda: manifests(tmp_path), first, second)
        second.kill()
        assert first.wait(timeout=LIMIT) == 1
        log = first.stderr.read()
    assert "process 1 of 2 ended early" in log
    folder = batch_below(tmp_path)
    ended = read(folder / "batch.complete.json")
    assert (ended["status"], ended["counts"]["failed"]) == ("interrupted", 0)
    assert 3 <= ended["counts"]["complete"] < 6
    assert_whole(folder)
    kept = {path: path.stat().st_mtime_ns for path in manifests(tmp_path)}

    with both("--resume", folder) as processes:
        logs = [process.stderr.read() for process in processes]
        assert [process.wait(timeout=LIMIT) for process in processes] == [0, 0], logs
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert sum(log.count("] video ") for log in logs) == 6 - len(kept)
    assert read(folder / "batch.complete.json")["counts"] == {"expected": 6, "complete": 6, "failed": 0}


def test_a_signal_to_all_processes_ends_the_batch_cleanly(tmp_path):
    with both(*SMALL, "--steps", "400", "--output", tmp_path) as processes:
        wait_for(lambda: list(tmp_path.rglob("process-1.1.lease")), *processes)
        wait_for(lambda: "generating" in processes[0].stderr.readline(), *processes)
        for process in processes:
            os.kill(process.pid, signal.SIGTERM)
        assert [process.wait(timeout=LIMIT) for process in processes] == [143, 143]
        log = processes[0].stderr.read()
    assert "ended early" not in log
    assert read(batch_below(tmp_path) / "batch.complete.json")["status"] == "interrupted"


def test_failures_in_any_process_are_reported_by_the_first(tmp_path):
    # A CPU has no such kernel, so each video fails.
    with both(*SMALL, "--attention-backend", "_native_cudnn", "--output", tmp_path) as processes:
        codes = [process.wait(timeout=LIMIT) for process in processes]
    assert codes == [1, 0]
    counts = read(batch_below(tmp_path) / "batch.complete.json")["counts"]
    assert counts == {"expected": 6, "complete": 0, "failed": 6}
