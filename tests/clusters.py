"""Dask clusters of real processes: a scheduler and workers, which can be killed, stopped and started again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.chaos.processes import MARK, kill_all
from tests.support import environment, free_ports, wait_until

REPOSITORY = Path(__file__).parents[1]
# A worker sees the scheduler's end, and the scheduler that of a worker, within seconds instead of minutes.
_SOON = {
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "4s",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "60s",
}
# Workers' hosts import what stubs the rendering, as `python -m tests.chaos.stubbed` does.
_STUBBED = "import tests.chaos.stubbed\n"


class Cluster:
    """A scheduler and its workers.

    Attributes:
        folder: for their logs.
        port: of the scheduler.
        workers: the processes of the workers that were started.

    """

    def __init__(self, folder: Path, *, stubbed: bool = False, **variables: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        (self.port,) = free_ports(1)
        self.workers: list[subprocess.Popen[bytes]] = []
        self._marks: dict[int, str] = {}  # by process id; what a process has started has the same
        self._variables = {"PYTHONPATH": str(REPOSITORY), **_SOON, **variables}
        self._numbers = iter(range(10_000))
        if stubbed:
            self.customise(_STUBBED)

    @property
    def address(self) -> str:
        """What `--engine` takes."""
        return f"dask://127.0.0.1:{self.port}"

    def customise(self, code: str, name: str = "site") -> dict[str, str]:
        """Have processes run some code when their interpreter starts; return the variables that do this."""
        site = self.folder / name
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(code)
        variables = {"PYTHONPATH": f"{site}:{REPOSITORY}"}
        if name == "site":
            self._variables |= variables
        return variables

    def start_scheduler(self) -> None:
        """Start the scheduler, always on the same port, and wait until it listens."""
        self.scheduler = self._start("dask_scheduler", "--port", self.port, "--host", "127.0.0.1", "--no-dashboard")
        wait_until(self._is_listening, 60, "the scheduler")

    def start_worker(
        self, *arguments: object, prefix: Sequence[str] = (), **variables: str
    ) -> "subprocess.Popen[bytes]":
        """Start a worker with one thread, without a nanny."""
        place = ("--local-directory", self.folder / "scratch", "--no-nanny", "--no-dashboard", "--nthreads", 1)
        address = f"tcp://127.0.0.1:{self.port}"
        worker = self._start("dask_worker", address, *place, *arguments, prefix=prefix, **variables)
        self.workers.append(worker)
        return worker

    def wait_for_workers(self, number: int) -> None:
        """Wait until the scheduler knows a number of workers."""
        from distributed import Client

        with Client(f"tcp://127.0.0.1:{self.port}", set_as_default=False, timeout=60) as client:
            wait_until(lambda: len(client.ncores()) >= number, 120, f"{number} workers")

    def close(self) -> None:
        """Kill every process."""
        for mark in self._marks.values():
            kill_all(mark)
        for process in (*self.workers, getattr(self, "scheduler", None)):
            if process is not None:
                process.wait()

    def kill_node(self, worker: "subprocess.Popen[bytes]") -> None:
        """Kill a worker with everything that it has started, as if its machine had gone."""
        kill_all(self._marks[worker.pid])
        worker.wait()

    def _is_listening(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def _start(
        self, module: str, *arguments: object, prefix: Sequence[str] = (), **variables: str
    ) -> "subprocess.Popen[bytes]":
        name = f"{module}_{next(self._numbers)}"
        mark = uuid.uuid4().hex
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-m", f"distributed.cli.{module}", *map(str, arguments)],
                cwd=self.folder,
                env=environment(**{MARK: mark, **self._variables, **variables}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._marks[process.pid] = mark
        return process


@contextlib.contextmanager
def running_cluster(folder: Path, workers: int, **options: object) -> Iterator[Cluster]:
    """Run a cluster of workers with one thread each; no process of it outlives the context."""
    cluster = Cluster(folder, **options)  # type: ignore[arg-type]
    try:
        cluster.start_scheduler()
        for _ in range(workers):
            cluster.start_worker()
        cluster.wait_for_workers(workers)
        yield cluster
    finally:
        cluster.close()


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process as a power failure does, and wait until it has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
