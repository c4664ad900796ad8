"""Reaches a scheduler, or starts a cluster on this machine."""

import asyncio
import contextlib
import logging
import warnings
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from attnwatch.jobs.cluster import remote
from attnwatch.jobs.cluster.address import Address

if TYPE_CHECKING:
    from distributed import Client

PATIENCE = 10.0
"""Seconds that the scheduler has to answer."""

_END = 2.0  # seconds to close a connection


def silence_dask() -> None:
    """Keep what Dask says of workers and connections out of the log, where it is said in other words."""
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # A table of several lines. Workers that cannot do the work are found by their check.
    warnings.filterwarnings("ignore", "Mismatched versions found")


async def open_client(scheduler: str) -> "Client":
    """Connect to a scheduler.

    Raises:
        OSError: it does not answer, or not as one.

    """
    from distributed import Client  # noqa: PLC0415 - an extra

    client = Client(scheduler, asynchronous=True, set_as_default=False, timeout=PATIENCE, name="attnwatch")
    try:
        return await client
    except BaseException as error:
        await close_client(client)
        if isinstance(error, OSError) or not isinstance(error, Exception):
            raise
        raise ConnectionError(f"{type(error).__name__}: {error}") from error


def no_scheduler(address: Address, error: OSError) -> str:
    """Return what was found in place of a scheduler, what was expected, and what to do."""
    remedy = "start it (dask scheduler), or correct the setting `engine`"
    return f"found no Dask scheduler at {address} ({error}); expected one; {remedy}"


async def close_client(client: "Client") -> None:
    """Close a connection; if the scheduler does not answer, without it."""
    closing = asyncio.ensure_future(client.close(timeout=1))
    closing.add_done_callback(lambda closed: closed.cancelled() or closed.exception())  # of no interest
    await asyncio.wait([closing], timeout=_END)


@contextlib.asynccontextmanager
async def cluster_at(address: Address) -> AsyncIterator[str]:
    """Yield the address of a cluster's scheduler; one on this machine runs during the context."""
    if address.scheduler is not None:
        yield address.scheduler
        return
    from distributed import LocalCluster  # noqa: PLC0415 - an extra

    async with LocalCluster(
        n_workers=address.workers,
        threads_per_worker=1,
        asynchronous=True,
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # that of metrics, without which there is a warning
        preload=[remote.__name__],
        silence_logs=logging.ERROR,
    ) as cluster:
        yield cluster.scheduler_address
