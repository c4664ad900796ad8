"""The connection to a cluster, in a thread of its own with an event loop. It is made again whenever it is lost."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

from attnwatch.errors import EngineError, WorkerLostError
from attnwatch.jobs.cluster.address import Address
from attnwatch.jobs.cluster.connecting import PATIENCE, close_client, cluster_at, no_scheduler, open_client
from attnwatch.jobs.cluster.expected import Expected, ExpectedFolder
from attnwatch.jobs.cluster.remote import Ended
from attnwatch.jobs.cluster.roster import Roster, given_names, scheduler_problem
from attnwatch.jobs.cluster.sent import Report, SentJobs
from attnwatch.report.log import counted

if TYPE_CHECKING:
    from distributed import Client

_log = logging.getLogger(__name__)

_ANSWER = 15.0  # seconds that it has to answer a question, before the connection counts as lost
_TURN = 1.0  # seconds between two questions
_LOOK_AGAIN = 10.0  # seconds between two looks at the folders of the watcher
_END = 6.0  # seconds for the jobs and the connection to end


@dataclass
class State:
    """What the watcher's thread may read at any time.

    Attributes:
        slots: number of jobs that the cluster can take at the same time.
        obstacle: why it runs none at present.
        places: names of workers, by keys of the jobs that they have.

    """

    slots: int = 0
    obstacle: str | None = None
    places: dict[str, str] = field(default_factory=dict)


class Session:
    """Sends jobs to a cluster and reports how they have ended.

    Args:
        address: of the cluster.
        folders: returns the folders of the watcher that workers must have.
        report: called in the session's thread with the number of a job, and what its worker has pickled or why there
            is nothing.
        tell: called in that thread when something in `state` has changed.

    """

    def __init__(
        self,
        address: Address,
        folders: Callable[[], tuple[ExpectedFolder, ...]],
        report: Report,
        tell: Callable[[], None],
    ) -> None:
        self.state = State()
        self.failure: str | None = None
        """Why there is no connection, and none will be made."""
        self._address = address
        self._folders = folders
        self._report = report
        self._tell = tell
        self._roster = Roster()
        self._expected = Expected(version("attnwatch"), ())
        self._looked = float("-inf")
        self._client: Client | None = None
        self._jobs = SentJobs(report, self._lose)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._main: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="attnwatch cluster", daemon=True)

    def open(self) -> None:
        """Connect.

        Raises:
            EngineError: no scheduler answers, or one that is not fit.

        """
        self._thread.start()
        self._ready.wait()
        if self.failure is not None:
            self._thread.join()
            raise EngineError(self.failure)

    def send(self, number: int, key: str, packed: bytes) -> None:
        """Send a job."""
        self._loop.call_soon_threadsafe(self._send, number, key, packed)

    def close(self) -> None:
        """End the jobs, and the connection."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._cancel)
            self._thread.join(_END)

    def _run(self) -> None:
        with contextlib.closing(self._loop), contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._live())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())

    def _cancel(self) -> None:
        if self._main is not None:
            self._main.cancel()

    async def _live(self) -> None:
        self._main = asyncio.current_task()
        if self._address.scheduler is None:
            _log.info("starting a cluster of %s on this machine", counted(self._address.workers, "worker"))
        else:  # it may take its time to answer, and a wrong address never does
            _log.info("connecting to the Dask scheduler at %s (waits up to %g s)", self._address, PATIENCE)
        try:
            async with cluster_at(self._address) as scheduler:
                while True:
                    await self._connected(scheduler)
                    await asyncio.sleep(_TURN)
        except OSError as error:
            self.failure = no_scheduler(self._address, error)
        except EngineError as error:
            self.failure = str(error)
        except Exception as error:  # noqa: BLE001 - the watcher must hear that this thread has ended
            _log.exception("the connection to %s", self._address)
            self.failure = f"the connection to {self._address} has failed ({error!r})"
        finally:
            self._ready.set()
            self._tell()

    async def _connected(self, scheduler: str) -> None:
        """Work with one connection until it is lost.

        Raises:
            OSError: there has not been a connection yet, and none can be made.

        """
        try:
            client = await open_client(scheduler)
        except OSError:
            if not self._ready.is_set():
                raise
            return
        try:
            if (wrong := await asyncio.wait_for(scheduler_problem(client), _ANSWER)) is not None:
                raise EngineError(f"the scheduler at {self._address}: {wrong}")
            if self._ready.is_set():
                _log.info("connected to the scheduler at %s again", self._address)
            self._client = client
            await self._stay(client)
        except OSError:
            if not self._ready.is_set():
                raise
            self._lose()
        except asyncio.CancelledError:
            await self._jobs.stop(client)
            raise
        finally:
            self._client = None
            await close_client(client)

    async def _stay(self, client: "Client") -> None:
        """Ask the scheduler again and again which workers there are, and what they have.

        Raises:
            OSError: the connection is lost.

        """
        while True:
            await self._look_at_folders()
            if self._client is None or client.status != "running":  # perhaps since a mount began to hang
                raise ConnectionError
            threads = await asyncio.wait_for(client.scheduler.ncores(), _ANSWER)
            is_known = self._roster.knows(threads)
            names = None if is_known else await asyncio.wait_for(given_names(client), _ANSWER)
            self._roster.update(client, threads, self._expected, names)
            places = await self._jobs.places(client, _ANSWER)
            self._learn({key: self._roster.name_of(worker) for key, worker in places.items()})
            self._jobs.take_back(self._roster, places)
            self._ready.set()
            await asyncio.sleep(_TURN)

    async def _look_at_folders(self) -> None:
        """Look what is in the folders of the watcher; what workers are compared with may be deleted at any time."""
        if time.monotonic() - self._looked >= _LOOK_AGAIN:
            with contextlib.suppress(OSError):  # such as a stale mount: that says nothing about the cluster
                self._expected = Expected(self._expected.version, await asyncio.to_thread(self._folders))
            self._looked = time.monotonic()

    def _learn(self, places: dict[str, str] | None = None) -> None:
        # Twice as many as threads: the next job is at its worker before the last one has ended. To a cluster without
        # workers, one is sent, because an adaptive one starts workers for what waits.
        slots = 1 if self._roster.is_empty else 2 * self._roster.threads
        obstacle = None
        if not slots:
            obstacle = "none of the cluster's workers is fit for jobs; the log says why"
        elif self._roster.is_empty and len(self._jobs):  # with nothing to do, that is no obstacle
            obstacle = "the cluster has no workers; its batch system starts them, or `dask worker` does"
        state = State(slots, obstacle, self.state.places if places is None else places)
        if state != self.state:
            self.state = state
            self._tell()

    def _lose(self) -> None:
        """Report that all jobs are lost, because the connection is, unless that was found out before."""
        if self._client is None:
            return
        self._client = None
        _log.warning(
            "lost the connection to the scheduler at %s; %s will start again when it answers; no video has failed",
            self._address,
            counted(len(self._jobs), "job"),
        )
        self._roster.forget()
        self.state = State(obstacle=f"no scheduler answers at {self._address}")
        self._jobs.lose(f"the connection to {self._address} was lost")

    def _send(self, number: int, key: str, packed: bytes) -> None:
        client = self._client
        if client is None or client.status != "running":
            self._report(number, WorkerLostError(f"there is no connection to {self._address}"))
            return
        self._jobs.send(client, number, packed, key=key, expected=self._expected, workers=self._roster.choice())

    def refuse(self, ended: Ended) -> None:
        """Give no more jobs to a worker that has found something wrong with itself."""

        def note() -> None:
            self._roster.refuse(ended.worker, ended.unfit or "")
            self._learn()

        self._loop.call_soon_threadsafe(note)
