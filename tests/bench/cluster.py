"""Measure what an engine on a Dask cluster costs (``make bench-cluster``): jobs that sleep, and the watcher's memory.

    python -m tests.bench.cluster [bench-cluster.json [part ...]]

Jobs have processes of their own, as renderings have. `scaling` is about the engine alone, with workers of one thread on
this machine; a job sleeps for 0.2 s, so that the machine's cores limit nothing but what is measured.
"""

import os
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from attnwatch.jobs.cluster.address import Address
from attnwatch.jobs.cluster.engine import DaskEngine
from attnwatch.jobs.cluster.paths import PathMap
from attnwatch.jobs.engine import Engine
from attnwatch.jobs.local import LocalEngine
from tests.bench.sleeping import Sleep
from tests.bench.table import Row, print_table
from tests.chaos.material import Material
from tests.chaos.processes import Process
from tests.chaos.scenarios.backlog import finish_many
from tests.chaos.trial import Trial, stated
from tests.clusters import Cluster, running_cluster
from tests.support import wait_until

JOBS_OF_A_WORKER = 250
WORKERS = (1, 2, 4, 8)
FINISHED, DUE = 100_000, 10_000


def scaling(folder: Path) -> Iterator[Row]:
    """Measure how many jobs a second end, by the number of workers, and what a job costs beside its sleep."""
    with LocalEngine() as engine:  # before there are threads
        _run(engine, 4, 1)
        here = JOBS_OF_A_WORKER / _run(engine, JOBS_OF_A_WORKER, 1)
    alone = None
    for workers in WORKERS:
        with (
            running_cluster(folder / str(workers), workers) as cluster,
            DaskEngine(Address.of(cluster.address), lambda: [(folder, True)], PathMap()) as engine,
        ):
            while engine.slots < 2 * workers:
                engine.wait(0.1)
            _run(engine, 4 * workers, 2 * workers)  # workers import what jobs need
            costs, jobs = _Costs(cluster), JOBS_OF_A_WORKER * workers
            rate = jobs / _run(engine, jobs, 2 * workers)
            spent = costs.each(jobs)
        alone = alone or rate
        detail = f"{jobs:,} jobs, {rate:.1f} a second; load {os.getloadavg()[0]:.0f}"
        yield Row(f"short of linear, {workers} workers", 100 * (1 - rate / workers / alone), 10, "%", detail)
        above = 1000 * (workers / rate - 1 / here)
        detail = f"{1000 * workers / rate:.1f} ms of a worker; {1000 / here:.1f} ms on this machine alone"
        yield Row(f"a job more than with the local engine, {workers} workers", above, 10, "ms", detail)
        for part, seconds in spent.items():
            yield Row(f"processor time of the {part} for a job, {workers} workers", 1000 * seconds, None, "ms")


class _Costs:
    """Processor time of this process, of the scheduler and of the workers, without that of the jobs."""

    def __init__(self, cluster: Cluster) -> None:
        pids = {"watcher": [os.getpid()], "scheduler": [cluster.scheduler.pid]}
        pids["worker"] = [worker.pid for worker in cluster.workers]
        self._processes = {name: [Process.of(pid) for pid in listed] for name, listed in pids.items()}
        self._before = self._spent()

    def each(self, jobs: int) -> dict[str, float]:
        """Return the seconds that a job has cost since then."""
        return {name: (spent - self._before[name]) / jobs for name, spent in self._spent().items()}

    def _spent(self) -> dict[str, float]:
        return {name: sum(p.cpu_seconds for p in found if p) for name, found in self._processes.items()}


def _run(engine: Engine, jobs: int, at_once: int) -> float:
    """Run jobs; return the seconds that this takes."""
    left, start, ended = iter(range(jobs)), time.monotonic(), 0
    while ended < jobs:
        while engine.running < at_once and (number := next(left, None)) is not None:
            engine.start(Sleep(number))
        ended += len(engine.wait(5.0))
    return time.monotonic() - start


def memory(folder: Path) -> Iterator[Row]:
    """Measure the memory of a watcher with many finished videos and a backlog, while the cluster works."""
    trial = Trial(folder / "memory")
    finish_many(trial, FINISHED)
    Material(folder / "material").add_many(trial.root / "due", DUE, prompt="sleep 600")
    with (
        running_cluster(folder / "cluster", 2, stubbed=True, CHAOS_LOG=str(folder / "jobs.jsonl")) as cluster,
        trial.daemon("--engine", cluster.address, "--quiet") as daemon,
    ):
        wait_until(lambda: stated(trial.activities(), "scans") >= 1, 600, "a scan")
        wait_until(lambda: len(trial.activities()[0]["running"]) >= 2, 60, "jobs")
        process = Process.of(daemon.pid)
        assert process is not None
        now, peak = process.proportional_bytes / 1e6, process.peak_bytes / 1e6
        waiting = stated(trial.activities(), "waiting")
    yield Row(
        f"memory, {FINISHED:,} finished and {DUE:,} due videos", peak, 350, "MB", f"{now:.0f} MB now; {waiting:,} wait"
    )


if __name__ == "__main__":
    print_table((scaling, memory), "bench-cluster.json", f"distributed {version('distributed')}")
