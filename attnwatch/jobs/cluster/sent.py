"""Jobs that were sent to a cluster: follows each to its end, and takes back those that would not end."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnwatch.errors import WorkerLostError
from attnwatch.jobs.cluster import remote
from attnwatch.jobs.cluster.expected import Expected
from attnwatch.jobs.cluster.roster import Roster

if TYPE_CHECKING:
    from distributed import Client, Future

_END = 1.0  # seconds that the scheduler, and then the workers, have to take back jobs

Report = Callable[[int, "bytes | Exception"], None]


@dataclass
class _Sent:
    """A job that was sent.

    Attributes:
        key: its name on the cluster.
        future: its end.
        workers: those that may run it; None for any.

    """

    key: str
    future: "Future[Any]"
    workers: list[str] | None


class SentJobs:
    """The jobs of one watcher that have not ended. It is used in the thread of the session only.

    Args:
        report: called with the number of a job, and what its worker has pickled or why there is nothing.
        disconnected: called when a job shows that the connection is lost; calls `lose` for all of them.

    """

    def __init__(self, report: Report, disconnected: Callable[[], None]) -> None:
        self._report = report
        self._disconnected = disconnected
        self._sent: dict[int, _Sent] = {}
        self._followers: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return the number of jobs that have not ended."""
        return len(self._sent)

    def send(
        self, client: "Client", number: int, packed: bytes, *, key: str, expected: Expected, workers: list[str] | None
    ) -> None:
        """Send a job to one of some workers; to any for None."""
        if workers == []:
            self._report(number, WorkerLostError("no worker is fit for jobs"))
            return
        try:
            future = client.submit(remote.run_packed, packed, expected, key=key, workers=workers, pure=False, retries=0)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not the video's fault
            self._report(number, WorkerLostError(f"the cluster did not take it: {error!r}"))
            return
        self._sent[number] = _Sent(key, future, workers)
        follower = asyncio.ensure_future(self._follow(client, number, future))
        self._followers.add(follower)
        follower.add_done_callback(self._followers.discard)

    async def places(self, client: "Client", patience: float) -> dict[str, str]:
        """Return the addresses of workers, by keys of the jobs that they have.

        Raises:
            OSError: the scheduler does not answer in time.

        """
        if not self._sent:
            return {}
        held = await asyncio.wait_for(client.scheduler.processing(), patience)
        own = {sent.key for sent in self._sent.values()}
        return {key: worker for worker, keys in held.items() for key in keys if key in own}

    def take_back(self, roster: Roster, places: Mapping[str, str]) -> None:
        """Take back jobs for which the scheduler would wait: of workers that have gone, and of those that hang."""
        for number, sent in list(self._sent.items()):
            place = places.get(sent.key)
            if sent.workers is not None and not roster.has(sent.workers):
                reason = "the workers that it was sent to have gone"
            elif place is not None and roster.hangs(place):
                reason = f"its worker, {roster.name_of(place)}, does not answer"
            else:
                continue
            sent.future.release()
            self._end(number, WorkerLostError(reason))

    def lose(self, reason: str) -> None:
        """Report that all jobs are lost."""
        for number in list(self._sent):
            self._end(number, WorkerLostError(reason))

    async def stop(self, client: "Client") -> None:
        """End all jobs on their workers, without a report."""
        sent, self._sent = list(self._sent.values()), {}
        if not sent:
            return
        with contextlib.suppress(Exception):
            await asyncio.wait_for(client.cancel([one.future for one in sent], force=True), _END)
        with contextlib.suppress(Exception):
            await asyncio.wait_for(client.run(remote.drop, [one.key for one in sent], on_error="ignore"), _END)

    async def _follow(self, client: "Client", number: int, future: "Future[Any]") -> None:
        try:
            outcome: bytes | Exception = await future
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - killed workers, and whatever else
            outcome = WorkerLostError(f"the cluster has lost it: {error!r}")
            if client.status != "running":
                self._disconnected()
        future.release()
        self._end(number, outcome)

    def _end(self, number: int, outcome: "bytes | Exception") -> None:
        if self._sent.pop(number, None) is not None:
            self._report(number, outcome)
