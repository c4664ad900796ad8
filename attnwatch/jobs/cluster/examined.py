"""Checks a cluster once, as a watcher does at its start, for people who ask whether it is fit."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from attnwatch.jobs.cluster.connecting import PATIENCE, close_client, open_client
from attnwatch.jobs.cluster.expected import Expected, ExpectedFolder
from attnwatch.jobs.cluster.roster import checked, given_names, scheduler_problem


@dataclass(frozen=True)
class Examined:
    """What was found about a worker.

    Attributes:
        name: what users know it by.
        threads: number of jobs that it can run at the same time.
        problem: what is wrong with it, with what to do; None if it is fit for jobs.

    """

    name: str
    threads: int
    problem: str | None


def examine(scheduler: str, folders: Sequence[ExpectedFolder]) -> tuple[str | None, list[Examined]]:
    """Return what is wrong with a scheduler, None for nothing, and what was found about each worker, by name.

    Args:
        scheduler: its address.
        folders: those that workers must have.

    Raises:
        OSError: it does not answer, or not as a scheduler.

    """
    return asyncio.run(_examine(scheduler, Expected(version("attnwatch"), tuple(folders))))


async def _examine(scheduler: str, expected: Expected) -> tuple[str | None, list[Examined]]:
    client = await open_client(scheduler)
    try:
        if (wrong := await asyncio.wait_for(scheduler_problem(client), PATIENCE)) is not None:
            return wrong, []
        threads: dict[str, int] = await asyncio.wait_for(client.scheduler.ncores(), PATIENCE)
        names = await asyncio.wait_for(given_names(client), PATIENCE)
        found = await asyncio.gather(*(checked(client, address, expected) for address in threads))
        workers = [
            Examined(names.get(address, address), number, problem)
            for (address, number), (problem, _) in zip(threads.items(), found, strict=True)
        ]
        return None, sorted(workers, key=lambda worker: worker.name)
    finally:
        await close_client(client)
