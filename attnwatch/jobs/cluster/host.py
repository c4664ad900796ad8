"""The process beside a worker that forks jobs: the local engine, which needs a process without threads.

Started as `python -m attnwatch.jobs.cluster.host DESCRIPTOR` by `remote`. It reads orders from the socket with that
descriptor: a number and a job to start, or a number and None to end that job. It answers with number, outcome and
seconds. When the worker dies, the socket closes, and the jobs die with it.
"""

import socket
import sys
from multiprocessing.connection import Connection
from typing import Any

from attnwatch.errors import EngineError, WorkerLostError
from attnwatch.jobs.engine import Finished
from attnwatch.jobs.local import LocalEngine
from attnwatch.jobs.work import Work


class _Host:
    def __init__(self, engine: LocalEngine, orders: "Connection[Any, Any]") -> None:
        self._engine = engine
        self._orders = orders
        self._jobs: dict[int, Work] = {}
        self._dropped: set[int] = set()

    def serve(self) -> None:
        """Serve until the worker has ended.

        Raises:
            EOFError: it has.

        """
        while True:
            for ended in self._engine.wait(None, [self._orders]):
                self._answer(ended)
            while self._orders.poll():
                self._obey(*self._orders.recv())

    def _obey(self, number: int, job: Work | None) -> None:
        if job is None:
            if number in self._jobs:
                self._dropped.add(number)
                self._engine.drop(self._jobs[number])
            return
        try:
            self._engine.start(job)
        except OSError as error:
            self._orders.send((number, error, 0.0))
        else:
            self._jobs[number] = job

    def _answer(self, ended: Finished) -> None:
        number = next(number for number, job in self._jobs.items() if job is ended.job)
        del self._jobs[number]
        outcome = ended.outcome
        if number in self._dropped and isinstance(outcome, Exception):
            outcome = WorkerLostError("its watcher has stopped")
        self._dropped.discard(number)
        self._orders.send((number, outcome, ended.seconds))


def main(descriptor: int) -> None:
    """Fork jobs for the worker at the other end of a socket."""
    with socket.socket(fileno=descriptor) as worker, LocalEngine() as engine:
        orders: Connection[Any, Any] = Connection(worker.detach())
        try:
            _Host(engine, orders).serve()
        except (EOFError, OSError, EngineError):
            orders.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
