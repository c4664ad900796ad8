"""The start of a batch that several processes share out in advance: they agree on what to make, and who makes what.

From then on each works alone. All that it takes is a connection from each process to the first one, or to its launcher:
a store of keys and values. Nothing is asked of the processes' own addresses, which they often do not know.
"""

import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

from generator.batch.sharing.launchers import refuse_lone_process
from generator.batch.sharing.ranks import Rank
from generator.errors import SettingsError, first_line

if TYPE_CHECKING:
    from torch.distributed import TCPStore

log = logging.getLogger(__name__)

ARRIVAL = 300.0
"""Seconds to wait for the other processes at the start."""
READINESS = 3600.0
"""Seconds to wait until the others are ready, each of which may have to fetch a model first."""
_NOTICE = 60.0
"""Seconds of waiting after which a process says whom it waits for."""
_POLL = 0.1
_NAMING = 30.0
"""Seconds until the name of a machine has to be known, which takes a moment where nodes start together."""
_ANSWER = 10.0
"""Seconds that a machine has to answer before it is asked again."""
_FAREWELL = 3.0
"""Seconds for which the first process keeps the store when it ends, which is where the others look for the reason."""
_PART = 2**22
"""Largest number of characters of a value in the store, which takes no more than 8 MiB."""
_ENDED = "ended"
_MOST_NAMED = 8
Value = TypeVar("Value")
Document = dict[str, object]


class Gathering:
    """All processes of a batch until it begins, as one of them sees them; ``store`` is None if it is the only one."""

    def __init__(self, rank: Rank, store: "TCPStore | None" = None) -> None:
        self._rank, self._store = rank, store
        self._meetings = self._agreements = 0

    def agree(self, value: Value) -> Value:
        """Return the first process's value, which JSON can hold, in every process; all of them must call this.

        Raises:
            SettingsError: if another process has ended.

        """
        if self._store is None:
            return value
        self._agreements += 1
        name = f"agreed/{self._agreements}"
        with self._unless_broken():
            if self._rank.is_first:
                content = json.dumps(value)
                parts = [content[start : start + _PART] for start in range(0, len(content), _PART)]
                for number, part in enumerate(parts):
                    self._store.set(f"{name}/{number}", part)
                self._store.set(name, str(len(parts)))
                return value
            self._wait({0: name}, None, "get ready")
            found = b"".join(self._store.get(f"{name}/{number}") for number in range(int(self._store.get(name))))
        return cast(Value, json.loads(found))

    def refuse_other(self, mine: Document) -> None:
        """Let all processes pass if they describe the batch that they have planned alike; all of them must call this.

        Their command lines may differ, or their environments, or what two machines find under one path. Each makes
        videos of its own plan, so the batch would be a mixture of several.

        Raises:
            SettingsError: if this process has planned another batch than the first one, or another process has.

        """
        mine = json.loads(json.dumps(mine, default=str))
        first = self.agree(mine)
        different = [key for key in {**first, **mine} if first.get(key) != mine.get(key)]
        if different:
            shown = "; ".join(f"{key} {mine.get(key)!r}, there {first.get(key)!r}" for key in different[:_MOST_NAMED])
            raise SettingsError(
                f"{self._rank} has planned another batch than process 0: found {shown}. All processes make one batch "
                f"together, so start them with the same settings and files. {self._rank.launcher.remedy}"
            )
        self.meet()

    def meet(self, patience: float | None = None, to: str = "get ready") -> None:
        """Wait until all processes have come this far, or for ``patience`` seconds; ``to`` says what for.

        Raises:
            SettingsError: if another process has ended, or does not come in time.

        """
        if self._store is None:
            return
        self._meetings += 1
        with self._unless_broken():
            self._store.set(f"met/{self._meetings}/{self._rank.number}", "")
            others = {number: f"met/{self._meetings}/{number}" for number in self._rank.others}
            self._wait(others, READINESS if patience is None else patience, to)

    def leave(self) -> None:
        """Tell the others that this process ends; the first one waits a moment until they have heard it."""
        if self._store is None:
            return
        with suppress(RuntimeError):
            if not self._store.check([_ENDED]):  # who was told by the first one to end is not the cause
                self._store.set(_ENDED, str(self._rank.number))
            self._store.set(f"left/{self._rank.number}", "")
            end = time.monotonic() + _FAREWELL
            left = [f"left/{number}" for number in self._rank.others]
            while self._rank.is_first and not self._store.check(left) and time.monotonic() < end:
                time.sleep(_POLL)

    def _wait(self, keys: Mapping[int, str], patience: float | None, to: str) -> None:
        """Wait for the keys of other processes; between two looks, a signal is answered."""
        store, began, notified = cast("TCPStore", self._store), time.monotonic(), False
        absent = dict(keys)
        while absent := {number: key for number, key in absent.items() if not store.check([key])}:
            if store.check([_ENDED]):
                raise self._ended(f"process {store.get(_ENDED).decode()}")
            waited = time.monotonic() - began
            if patience is not None and waited > patience:
                raise SettingsError(
                    f"{self._rank}: {_listed(absent)} did not {to} within {patience / 60:.2g} minutes. Start all "
                    f"processes with {self._rank.launcher.name}. {self._rank.launcher.remedy}"
                )
            if waited > _NOTICE and not notified:
                log.info("waiting for %s to %s", _listed(absent), to)
                notified = True
            time.sleep(_POLL)

    @contextmanager
    def _unless_broken(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise self._ended(f"process 0, or its launcher, ({first_line(error)})") from error

    def _ended(self, who: str) -> SettingsError:
        return SettingsError(f"{self._rank}: {who} ended before the batch began. Its own message says why")


def _listed(numbers: Iterable[int]) -> str:
    found = sorted(numbers)
    shown = ", ".join(map(str, found[:_MOST_NAMED])) + (", ..." if len(found) > _MOST_NAMED else "")
    return f"process {shown}" if len(found) == 1 else f"processes {shown}"


@contextmanager
def gathered(rank: Rank) -> Iterator[Gathering]:
    """Bring all processes together for the context; if it ends with an exception, the others are told.

    Raises:
        SettingsError: if not all of them arrive in time, or others have been started that this process cannot know.

    """
    if rank.size == 1:
        refuse_lone_process(os.environ)
        yield Gathering(rank)
        return
    host, port = rank.launcher.address(os.environ)
    log.info("%s: waiting for the others at %s:%d", rank, host, port)
    gathering = Gathering(rank, _connected(rank, host, port))
    try:
        gathering.meet(ARRIVAL, f"arrive at {host}:{port}")
        yield gathering
    except BaseException:
        gathering.leave()
        raise


def _connected(rank: Rank, host: str, port: int) -> "TCPStore":
    """Open the store in the first process; connect the others to it, as soon as it is there."""
    from torch.distributed import TCPStore  # noqa: PLC0415 - the command line needs ranks before it needs torch

    # The variable says that the store belongs to the launcher, as with torchrun.
    is_host = rank.is_first and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    try:
        _retried(lambda: socket.getaddrinfo(host, None), _NAMING)
        if not is_host:
            _retried(lambda: socket.create_connection((host, port), timeout=_ANSWER), ARRIVAL).close()
        return TCPStore(
            host,
            port,
            is_master=is_host,
            wait_for_workers=False,
            multi_tenant=is_host,
            timeout=timedelta(seconds=ARRIVAL),
        )
    except (OSError, RuntimeError) as error:
        if isinstance(error, socket.gaierror):
            what = "no machine is known by the name in"
        else:
            what = "cannot wait for the others at" if is_host else "process 0 does not answer at"
        raise SettingsError(
            f"{rank}: {what} {host}:{port} ({first_line(error)}). Expected in MASTER_ADDR the machine of process 0, "
            f"which the others can reach, and in MASTER_PORT a free port on it. {rank.launcher.remedy}"
        ) from error


def _retried(attempt: Callable[[], Value], patience: float) -> Value:
    """Return what an attempt returns that may fail for some seconds: unlike the store's own waiting, silently.

    Between two attempts, a signal is answered.
    """
    end = time.monotonic() + patience
    while True:
        try:
            return attempt()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(_POLL)
