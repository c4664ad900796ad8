"""Leases: files in a shared folder that say who works on what, for machines that may vanish at any time.

They hold on file systems of several machines, where locks of the kernel may not reach from one to another, and clocks
differ. A lease is taken by creating a file that must not exist yet, which is atomic, over NFS too. Its owner changes
the file again and again. Whoever sees it unchanged for `DURATION` seconds of his own clock takes the owner for dead
and creates the next file of that name, whose number is one higher. Files are never renamed and not removed before
everything is done, so two observers of one dead owner cannot both take over, and an owner that was only asleep finds
the next file, and that its lease is lost.

An owner on the same machine also holds a lock of the kernel, which is free at once when it dies.
"""

import fcntl
import json
import logging
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from uuid import uuid4

from generator.batch.interrupt import Stopped
from generator.errors import OutputError
from generator.outputs.files import make_folder

log = logging.getLogger(__name__)

FOLDER = ".generator.leases"
DURATION = 60.0
"""Seconds without a change after which the owner of a lease counts as dead: ten times the interval of renewals."""
_RENEWALS = 10
_POLL = 0.5
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine sleeps, as the clocks of the others do."""
_NAME = re.compile(r"(.+)\.(\d+)\.lease")
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class State(Enum):
    """What another process may do about a lease."""

    FREE = "free"
    HELD = "held"
    DONE = "done"


class LeaseLost(Stopped):
    """Raised where work has to be abandoned because another process has taken it over."""


class Lease:
    """The right to work on something, renewed by a thread until `end`."""

    def __init__(self, path: Path, following: Path, duration: float) -> None:
        """Create the file of the lease.

        Args:
            path: its path
            following: path of the next lease, whose owner has taken over
            duration: seconds after which the others take over unless it is renewed

        Raises:
            FileExistsError: if another process was first.
            OSError: if the file cannot be written.

        """
        self._descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
        self._path, self._following, self._duration = path, following, duration
        self._owner = {"host": socket.gethostname(), "pid": os.getpid(), "token": uuid4().hex}
        with suppress(OSError):  # without locks, the others have to wait until the lease has run out
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._owner |= {"kernel": _kernel(), "device": os.fstat(self._descriptor).st_dev}
        self._renewals = 0
        self._lost = False
        self._write(State.HELD)
        self._renewed = time.clock_gettime(_CLOCK)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease of {path.name}", daemon=True)
        self._thread.start()

    def confirm(self) -> None:
        """Make sure that the lease still holds; cheap as long as it was renewed in time.

        Raises:
            LeaseLost: if another process has taken over.

        """
        late = time.clock_gettime(_CLOCK) - self._renewed > self._duration / 2
        if self._lost or (late and self._is_taken_over()):
            self._lost = True
            raise LeaseLost

    def end(self, state: State) -> None:
        """End the lease: FREE lets others work on the same, DONE does not."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        try:
            if not self._lost:
                self._write(state)
        except OSError as error:
            log.warning("%s cannot be written: %s; the others wait until it has run out", self._path, error.strerror)
        finally:
            os.close(self._descriptor)

    def _renew(self) -> None:
        while not self._ended.wait(self._duration / _RENEWALS):
            try:
                began = time.clock_gettime(_CLOCK)
                self._write(State.HELD)
                if self._is_taken_over():
                    self._lost = True
                    return
                self._renewed = began
            except OSError as error:  # tried again; `confirm` notices if it takes too long
                log.warning("%s cannot be renewed: %s", self._path, error.strerror)

    def _write(self, state: State) -> None:
        """Change the very file that was created, even if its name now belongs to another."""
        self._renewals += 1
        content = json.dumps({**self._owner, "renewals": self._renewals, "state": state.value}).encode()
        os.pwrite(self._descriptor, content, 0)
        os.ftruncate(self._descriptor, len(content))
        os.fsync(self._descriptor)

    def _is_taken_over(self) -> bool:
        try:
            found = _read(self._path).get("token")
        except OSError:
            return True
        return found != self._owner["token"] or self._following.exists()


class Leases:
    """The leases in a folder, as this process sees them."""

    def __init__(self, folder: Path, duration: float | None = None) -> None:
        self._folder = folder
        self._duration = DURATION if duration is None else duration
        self._seen: dict[Path, tuple[bytes, float]] = {}

    def newest(self) -> dict[str, int]:
        """Return the number of the newest lease of each name."""
        found: dict[str, int] = {}
        with suppress(FileNotFoundError):
            for name in os.listdir(self._folder):  # noqa: PTH208 - a folder of many thousand names
                if match := _NAME.fullmatch(name):
                    found[match[1]] = max(found.get(match[1], 0), int(match[2]))
        return found

    def state(self, name: str, number: int) -> State:
        """Return what may be done about lease ``number`` of a name; 0 stands for none."""
        path = self._path(name, number)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return State.FREE
        except OSError:
            return State.HELD
        owner = _parsed(content)
        if owner.get("state") in {State.FREE.value, State.DONE.value}:
            return State(owner["state"])
        return State.FREE if self._has_run_out(path, content) or _has_died_here(path, owner) else State.HELD

    def held(self, start: str = "", but: Collection[str] = ()) -> list[str]:
        """Return the names that begin with ``start`` and are worked on; leases of names in ``but`` are not read."""
        newest = {name: number for name, number in self.newest().items() if name.startswith(start) and name not in but}
        return [name for name, number in newest.items() if self.state(name, number) is State.HELD]

    def deaths(self, name: str) -> int:
        """Return how many owners of a name were never heard of again, except for the newest."""
        paths = [self._path(name, number) for number in range(1, self.newest().get(name, 1))]
        found = []
        for path in paths:
            with suppress(OSError):
                found.append(_read(path).get("state"))
        return found.count(State.HELD.value)

    def survivor(self, start: str = "") -> str | None:
        """Return who works on any of the names that begin with ``start``; None if nobody does.

        It may take `DURATION` seconds to see that somebody is dead.
        """
        first = {name: self._content(name) for name in self.held(start)}
        if first:
            log.info("waiting up to %g s to see whether other processes are at work here", self._duration)
        while held := self.held(start):
            for name in held:
                if (content := self._content(name)) != first.get(name):
                    owner = _parsed(content)
                    return f"process {owner.get('pid', '?')} on {owner.get('host', '?')}"
            time.sleep(min(_POLL, self._duration / _RENEWALS))
        return None

    def _content(self, name: str) -> bytes:
        try:
            return self._path(name, self.newest().get(name, 0)).read_bytes()
        except OSError:
            return b""

    def take(self, name: str, number: int) -> Lease | None:
        """Take lease ``number`` of a name, one more than that of the newest; None if another process was faster.

        Raises:
            OutputError: if its file cannot be created.

        """
        path = self._path(name, number)
        for _attempt in range(2):
            try:
                return Lease(path, self._path(name, number + 1), self._duration)
            except FileExistsError:
                return None
            except FileNotFoundError:  # of the first lease; or the folder was just removed by the last process
                make_folder(self._folder)
            except OSError as error:
                raise OutputError(
                    f"{path} cannot be written: {error.strerror or error}. Check who may write there"
                ) from error
        return None

    @contextmanager
    def taken(self, name: str) -> Iterator[Lease | None]:
        """Hold the lease of a name in the context, if it is free; afterwards it is free again unless it was ended."""
        number = self.newest().get(name, 0)
        lease = self.take(name, number + 1) if self.state(name, number) is State.FREE else None
        try:
            yield lease
        finally:
            if lease is not None:
                lease.end(State.FREE)

    def clear(self) -> None:
        """Remove the folder; whoever still holds a lease in it has lost it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, name: str, number: int) -> Path:
        return self._folder / f"{name}.{number}.lease"

    def _has_run_out(self, path: Path, content: bytes) -> bool:
        now = time.monotonic()
        before, since = self._seen.get(path, (None, now))
        if before != content:
            self._seen[path] = (content, now)
            return False
        return now - since >= self._duration


def _has_died_here(path: Path, owner: dict[str, object]) -> bool:
    """Return whether the owner ran on this machine and is dead: its lock is free.

    On another mount, even of the same folder, nothing is known about its locks.
    """
    if owner.get("kernel") != _kernel() or not owner.get("kernel"):
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if os.fstat(descriptor).st_dev != owner.get("device"):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _kernel() -> str | None:
    """Return what identifies this run of this machine's kernel; None if that is unknown."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return None


def _read(path: Path) -> dict[str, object]:
    return _parsed(path.read_bytes())


def _parsed(content: bytes) -> dict[str, object]:
    """Return what a lease says; nothing while it is being written."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
