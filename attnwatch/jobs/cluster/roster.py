"""The workers of a cluster: which of them are fit for jobs, and what is wrong with the others."""

import asyncio
import logging
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from attnwatch.jobs.cluster import remote
from attnwatch.jobs.cluster.expected import Answer, Expected, wrong_clock, wrong_version
from attnwatch.report.log import counted

if TYPE_CHECKING:
    from distributed import Client

_log = logging.getLogger(__name__)

_PATIENCE = 8.0  # seconds for a worker's answer
_LONG_PATIENCE = 30.0  # seconds for that of one that was fit before: it may be busy
_NO_WORKERS = "no workers {}: videos wait for {}; if none starts by itself, start one (dask worker ADDRESS)"
_AGAIN_AFTER = 30.0  # seconds between two checks
_UNDER_WAY = float("inf")
_FIGURES = re.compile(r"\d+")


@dataclass
class _Worker:
    """A worker.

    Attributes:
        threads: number of jobs that it can run at the same time.
        name: what users know it by.
        problem: what is wrong with it; None if nothing is known to be.
        hangs: it does not answer.
        was_fit: it has passed a check.
        due: monotonic time of the next check; never while one is under way.

    """

    threads: int
    name: str
    problem: str | None = None
    hangs: bool = False
    was_fit: bool = False
    due: float = float("-inf")


class Roster:
    """The workers of a cluster, each checked when it joins, and again and again."""

    def __init__(self) -> None:
        self._workers: dict[str, _Worker] = {}
        self._checks: set[asyncio.Task[None]] = set()
        self._expected: Expected | None = None
        self._told: int | None = None
        """Number of workers that was logged last."""

    @property
    def threads(self) -> int:
        """Number of jobs that the workers can run at the same time; those count that have yet to be checked."""
        return sum(worker.threads for worker in self._workers.values() if worker.problem is None)

    @property
    def is_empty(self) -> bool:
        """Whether there is no worker at all."""
        return not self._workers

    def knows(self, addresses: Iterable[str]) -> bool:
        """Return whether all these workers were there at the last `update`."""
        return all(address in self._workers for address in addresses)

    def name_of(self, address: str) -> str:
        """Return what users know a worker by: the name that they gave it, or else its address."""
        worker = self._workers.get(address)
        return address if worker is None else worker.name

    def choice(self) -> list[str] | None:
        """Return the workers that may get jobs; None for any, because nothing is wrong with one of them."""
        if all(worker.problem is None for worker in self._workers.values()):
            return None
        return [address for address, worker in self._workers.items() if worker.problem is None]

    def has(self, addresses: list[str]) -> bool:
        """Return whether one of some workers is still there."""
        return any(address in self._workers for address in addresses)

    def hangs(self, address: str) -> bool:
        """Return whether a worker is there, but does not answer. One that is not fit still ends what it has."""
        return address in self._workers and self._workers[address].hangs

    def forget(self) -> None:
        """Forget all workers, because the connection to the cluster is lost."""
        for check in self._checks:
            check.cancel()
        self._workers.clear()
        self._told = None

    def update(
        self, client: "Client", threads: Mapping[str, int], expected: Expected, names: Mapping[str, str] | None = None
    ) -> None:
        """Take the workers that the scheduler knows, and check those that need it.

        Args:
            client: the connection to the scheduler.
            threads: number of threads of each worker, by address.
            expected: what workers must have.
            names: see `given_names`; needed for new workers only.

        """
        given = names or {}
        self._workers = {
            address: self._workers.get(address) or _Worker(number, given.get(address, address))
            for address, number in threads.items()
        }
        self._tell_number()
        is_other, self._expected = expected != self._expected, expected
        now = time.monotonic()
        for address, worker in self._workers.items():
            if now >= worker.due or (is_other and worker.problem is not None and worker.due != _UNDER_WAY):
                worker.due = _UNDER_WAY
                check = asyncio.ensure_future(self._check(client, address, worker, expected))
                self._checks.add(check)
                check.add_done_callback(self._checks.discard)

    def _tell_number(self) -> None:
        if len(self._workers) == self._told:
            return
        none = _NO_WORKERS.format("any more", "one") if self._told else _NO_WORKERS.format("yet", "the first")
        self._told = len(self._workers)
        workers = counted(self._told, "worker")
        threads = counted(sum(worker.threads for worker in self._workers.values()), "thread")
        _log.info("the cluster has %s", f"{workers} with {threads}" if self._told else none)

    def refuse(self, address: str, problem: str) -> None:
        """Give a worker no more jobs, because it has found something wrong with itself."""
        if (worker := self._workers.get(address)) is not None:
            self._note(worker, problem)

    async def _check(self, client: "Client", address: str, worker: _Worker, expected: Expected) -> None:
        patience = _LONG_PATIENCE if worker.was_fit and worker.problem is None else _PATIENCE
        try:
            problem, worker.hangs = await checked(client, address, expected, patience)
        except OSError:
            worker.due = time.monotonic()  # it has gone, or only the message was lost
            return
        is_outdated = problem is not None and expected != self._expected
        worker.due = time.monotonic() + (0.0 if is_outdated else _AGAIN_AFTER)
        worker.was_fit |= problem is None
        self._note(worker, problem)

    def _note(self, worker: _Worker, problem: str | None) -> None:
        if problem is not None and (worker.problem is None or _kind(problem) != _kind(worker.problem)):
            _log.warning("worker %s gets no jobs: %s", worker.name, problem)
        elif problem is None and worker.problem is not None:
            _log.info("worker %s is fit for jobs again", worker.name)
        worker.problem = problem


def _kind(problem: str) -> str:
    """Return a problem without its figures, such as the seconds of a clock, which change from check to check."""
    return _FIGURES.sub("", problem)


async def given_names(client: "Client") -> dict[str, str]:
    """Return the names that users have given to workers (`dask worker --name`), by address.

    Without one, a worker is called by its address, or by a number in a cluster on this machine.
    """
    known: dict[str, Any] = (await client.scheduler.identity())["workers"]
    names = {address: worker.get("name") for address, worker in known.items()}
    return {address: name for address, name in names.items() if isinstance(name, str)}


async def scheduler_problem(client: "Client") -> str | None:
    """Return what is wrong with the scheduler, which unpickles the names of our functions; None if nothing is."""
    try:
        found = await client.run_on_scheduler(version, "attnwatch")
    except PackageNotFoundError:
        found = None
    return wrong_version(found, version("attnwatch"))


async def checked(
    client: "Client", address: str, expected: Expected, patience: float | None = None
) -> tuple[str | None, bool]:
    """Return what is wrong with a worker, None for nothing, and whether it does not answer.

    Raises:
        OSError: it has gone, or a message was lost.

    """
    seconds = _PATIENCE if patience is None else patience
    try:
        return await asyncio.wait_for(_problem(client, address, expected), seconds), False
    except TimeoutError:
        found = f"found no answer within {seconds:g} s; expected one at once"
        return f"{found}; see whether it hangs, or a mount there does", True


async def _problem(client: "Client", address: str, expected: Expected) -> str | None:
    # The version first, by a function of Python: another version may lack ours.
    found = await _ask(client, address, version, "attnwatch")
    if isinstance(found, PackageNotFoundError):
        found = None
    if isinstance(found, Exception):
        raise OSError(str(found)) from found
    if (wrong := wrong_version(found, expected.version)) is not None:
        return wrong
    before = time.time()
    answer = await _ask(client, address, remote.check, expected)
    if not isinstance(answer, Answer):
        return f"found that its check failed ({answer}); expected it to pass; see the worker's log"
    after = time.time()
    latency = (after - before) / 2
    return answer.problem or wrong_clock(answer.time - after + min(latency, 1.0))


async def _ask(client: "Client", address: str, function: Any, *arguments: object) -> Any:  # noqa: ANN401 - its answer
    """Return what a function returns on a worker, or the exception that it raises there."""
    answers = await client.run(function, *arguments, workers=[address], on_error="return")
    return answers.get(address, OSError("it has left"))
