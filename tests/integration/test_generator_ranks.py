"""One batch, several processes: two, with a real launcher and without."""

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from generator.batch import leases
from generator.batch.sharing.launchers import SLURM, TORCH
from tests.forking import run_program
from tests.integration.generator_support import (
    LIMIT,
    assert_whole,
    batch_below,
    command,
    contents,
    environment,
    generated,
    generating,
    manifests,
    read,
    wait_for,
)
from tests.support import free_ports

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
def both(*arguments, run=run_program, hosts=1, own=((), ()), names=TORCH, **variables):
    """Start two processes on each host, as a launcher would; kill them at the end of the context if they still run.

    Each has its ``own`` arguments besides, and what its launcher tells it in variables with these ``names``.
    """
    common = {names.size: str(2 * hosts), **(variables or {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()})}
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                generating(
                    *arguments,
                    *own[rank % 2],
                    run=run,
                    **common,
                    **{names.number: str(rank), names.local: str(rank % 2)},
                )
            )
            for rank in range(2 * hosts)
        ]


def free_port():
    return str(*free_ports(1))


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


def test_the_tasks_of_a_step_of_slurm_make_one_batch_together(tmp_path, alone):
    step = {"SLURM_JOB_ID": free_port(), "SLURM_STEP_ID": "0", "SLURM_STEP_TASKS_PER_NODE": "2"}
    with both(*SMALL, "--steps", "2", "--output", tmp_path, names=SLURM, **step) as processes:
        logs = [process.stderr.read() for process in processes]
        assert [process.wait(timeout=LIMIT) for process in processes] == [0, 0], logs
    assert contents(batch_below(tmp_path)) == contents(alone)
    assert [log.count("] video ") for log in logs] == [3, 3]


def test_processes_that_would_make_different_videos_make_none(tmp_path):
    with both(*SMALL, "--output", tmp_path / "outputs", own=((), ("--seed", "7"))) as processes:
        logs = [process.stderr.read() for process in processes]
        assert [process.wait(timeout=LIMIT) for process in processes] == [2, 2], logs
    assert "process 1 of 2 has planned another batch than process 0: found video.seed 7, there 42; digest of" in logs[1]
    assert "process 0 of 2: process 1 ended before the batch began" in logs[0]
    assert not (tmp_path / "outputs").exists()


def torchrun(host, address, port):
    return [
        "torch.distributed.run",
        "--nnodes",
        "2",
        "--nproc_per_node",
        "2",
        "--node_rank",
        host,
        "--master_addr",
        address,
        "--master_port",
        port,
    ]


def accelerate(host, address, port):
    where = ["--machine_rank", host, "--main_process_ip", address, "--main_process_port", port]
    kind = ["--multi_gpu", "--mixed_precision", "no", "--dynamo_backend", "no"]
    return ["accelerate.commands.launch", "--num_machines", "2", "--num_processes", "4", *kind, *where]


@pytest.fixture
def networks():
    """How to run a program on each of two hosts, and the address of the first, as the second one sees it.

    Between them is a network, and each takes its own name for 127.0.0.1, as many hosts do. Where networks cannot be
    made, this machine is both.
    """
    if shutil.which("ip") is None or os.geteuid() != 0:
        yield [[], []], "127.0.0.1"
        return
    names = [f"attnwatch-{os.getpid()}-{host}" for host in "ab"]
    first, second = (f"veth{os.getpid() % 10**6}{host}" for host in "ab")
    commands = [f"netns add {name}" for name in names]
    commands += [f"link add {first} netns {names[0]} type veth peer name {second} netns {names[1]}"]
    for number, (name, link) in enumerate(zip(names, (first, second), strict=True), 1):
        commands += [f"-n {name} addr add 10.91.73.{number}/24 dev {link}"]
        commands += [f"-n {name} link set {device} up" for device in ("lo", link)]
    try:
        for command in commands:
            if (
                made := subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
            ).returncode:
                pytest.skip(f"ip {command}: {made.stderr.strip()}")
        yield [["ip", "netns", "exec", name] for name in names]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "where"),
    [(torchrun, "--output"), (torchrun, "--claim"), (accelerate, "--output"), (accelerate, "--claim")],
)
def test_two_launchers_on_two_hosts_make_one_batch_together(tmp_path, alone, networks, launcher, where):
    program = tmp_path / "elsewhere.py"
    program.write_text(
        "import sys; from tests.integration.test_generator_ranks import run_elsewhere; "
        "sys.exit(run_elsewhere('generator', *sys.argv[1:]))"
    )
    outputs = tmp_path / "outputs"
    place = outputs / "kiss" if where == "--claim" else outputs
    arguments = [str(program), *SMALL, "--steps", "2", where, str(place)]

    (prefixes, address), port = networks, free_port()

    def launched(host):
        start = [*prefixes[host], sys.executable, "-m", *launcher(str(host), address, port), *arguments]
        return subprocess.run(start, env=environment(), capture_output=True, text=True, timeout=LIMIT, check=False)

    with ThreadPoolExecutor(2) as hosts:
        results = list(hosts.map(launched, range(2)))
    log = "".join(result.stderr for result in results)
    assert [result.returncode for result in results] == [0, 0], log
    folder = batch_below(outputs)
    assert contents(folder) == contents(alone)
    assert read(folder / "batch.complete.json")["counts"] == {"expected": 6, "complete": 6, "failed": 0}
    assert log.count("] video ") == 6
    assert log.count("is complete, 6 of 6 videos") == 1


@pytest.mark.slow
def test_processes_of_mpirun_make_one_batch_together(tmp_path, alone):
    if shutil.which("mpirun") is None:
        pytest.skip("found no mpirun (Debian: openmpi-bin)")
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    result = subprocess.run(
        ["mpirun", "-n", "2", *command(*SMALL, "--steps", "2", "--output", tmp_path)],
        env={**environment(), **root, "OMPI_MCA_rmaps_base_oversubscribe": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert contents(batch_below(tmp_path)) == contents(alone)


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
