"""Active pauses: one for the machine, one per full disk, and the targets that each of them holds back.

A pause begins when a resource runs out and ends when a rendering succeeds again. Meanwhile no video's attempts count.
"""

import logging
import time
from collections.abc import Collection
from pathlib import Path

from attnwatch.batches.targets import Target
from attnwatch.batches.videos import home_of
from attnwatch.contract.backoff import Backoff
from attnwatch.system.shortage import Shortage, disk_of, lack_of_space
from attnwatch.watch.backlog import Backlog, Waiting

_log = logging.getLogger(__name__)

_BETWEEN_TRIES = Backoff(first=2.0, longest=30.0)


class Pause:
    """Holds back jobs while a resource is exhausted; from time to time it lets a single one try.

    Args:
        folder: on the disk that is full; None if another resource of the machine has run out.

    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.reason: str | None = None
        """Why nothing is started; None outside of a pause."""
        self._began = 0.0
        self._until = 0.0
        self._shortages = 0

    def begin(self, reason: str) -> None:
        """Begin a pause, or prolong it because a try has failed."""
        now = time.monotonic()
        if self.reason is None:
            self._began, self._shortages = now, 1
            _log.warning("Paused%s: %s; resumes automatically, no work is lost", self._what, reason)
        elif now >= self._until:  # else the job was started before the pause, and says nothing new
            self._shortages += 1
        self.reason, self._until = reason, now + _BETWEEN_TRIES.wait(self._shortages)

    def end(self) -> None:
        """End the pause, because a rendering has succeeded."""
        if self.reason is not None:
            _log.info("Resumed%s after a pause of %.0f s", self._what, time.monotonic() - self._began)
        self.reason = None

    def lets_start(self, running: int) -> bool:
        """Return whether a job may be started beside `running` others: during a pause only alone, as a try."""
        return self.reason is None or (running == 0 and time.monotonic() >= self._until)

    def look(self, running: int, min_free_space: int) -> None:
        """Put off the next try while the disk has less than `min_free_space` bytes left."""
        if self.folder is None or not self.lets_start(running) or self.reason is None:
            return
        if lack_of_space(self.folder, min_free_space) is not None:
            self._until = time.monotonic() + _BETWEEN_TRIES.wait(self._shortages)

    def next_look(self, running: int) -> float | None:
        """Return the monotonic time of the next try; None outside of a pause, or while a job has yet to end."""
        return None if self.reason is None or running else self._until

    @property
    def _what(self) -> str:
        return "" if self.folder is None else f" for outputs on the disk of {self.folder}"


class Pauses:
    """The pause of the whole machine, and one for each full disk. Targets of a full disk are held in the backlog.

    Args:
        backlog: waiting targets.
        out: folder of all outputs; None if they go beside their videos.

    """

    def __init__(self, backlog: Backlog, out: Path | None) -> None:
        self.machine = Pause()
        """While it lasts, nothing at all is started, except for a try."""
        self.rival = Pause()
        """While it lasts, nothing at all is started; see `attnwatch.watch.rivals`."""
        self._disks: dict[int, Pause] = {}
        self._backlog = backlog
        self._out = out

    @property
    def reason(self) -> str | None:
        """Why something is not started; None if there is no pause."""
        reasons = (pause.reason for pause in (self.rival, self.machine, *self._disks.values()))
        return "; ".join(reason for reason in reasons if reason is not None) or None

    def yield_to(self, rival: str | None) -> None:
        """Begin or end the pause that a rival asks for."""
        if rival is None:
            self.rival.end()
        elif rival != self.rival.reason:
            self.rival.begin(rival)

    def lets_start(self, running: int) -> bool:
        """Return whether any job may be started beside `running` others."""
        return self.rival.reason is None and self.machine.lets_start(running)

    def folder_of(self, target: Target) -> Path:
        """Return a folder on the disk that a target's outputs are written to."""
        return self._out or target.batch or home_of(target.manifest)

    def begin(self, shortage: Shortage, reason: str, target: Target) -> None:
        """Begin a pause: of everything, or of the disk that a target's outputs are written to."""
        folder = self.folder_of(target)
        disk = disk_of(folder) if shortage is Shortage.DISK else None
        pause = self.machine if disk is None else self._disks.setdefault(disk, Pause(folder))
        pause.begin(reason)

    def end(self, target: Target) -> None:
        """End the pause of the machine and of the target's disk, because it was rendered."""
        self.machine.end()
        if (disk := self._full_disk(target)) is not None:
            self._resume(disk)

    def look(self, busy: Collection[Target], min_free_space: int) -> None:
        """Release one target of each disk that may be tried now, while none of the `busy` ones writes to it."""
        for disk, pause in list(self._disks.items()):
            if pause.folder is None or disk_of(pause.folder) != disk:
                self._resume(disk)  # unmounted, or its folder was deleted
                continue
            running = self._writing(disk, busy)
            pause.look(running, min_free_space)
            if pause.lets_start(running):
                self._backlog.release(disk, most=1)

    def next_look(self, busy: Collection[Target]) -> float | None:
        """Return the monotonic time at which a disk may be tried next; None if nothing waits for one."""
        looks = (
            pause.next_look(self._writing(disk, busy))
            for disk, pause in self._disks.items()
            if self._backlog.holds(disk)
        )
        return min((look for look in looks if look is not None), default=None)

    def pop_due(self, now: float, busy: Collection[Target]) -> Waiting | None:
        """Take the next due target that may be started; due targets before it that may not are held back."""
        while (waiting := self._backlog.pop_due(now)) is not None:
            if (disk := self.blocking_disk(waiting.target, busy)) is None:
                break
            self._backlog.hold(waiting, disk)
        return waiting

    def blocking_disk(self, target: Target, busy: Collection[Target]) -> int | None:
        """Return the full disk that a target has to wait for; None if it may be started."""
        disk = self._full_disk(target)
        if disk is None or (self._disks[disk].lets_start(0) and not self._writing(disk, busy)):
            return None
        return disk

    def _resume(self, disk: int) -> None:
        self._disks.pop(disk).end()
        self._backlog.release(disk)

    def _full_disk(self, target: Target) -> int | None:
        """Return the paused disk that a target's outputs are written to; without any pause, no disk is looked up."""
        disk = disk_of(self.folder_of(target)) if self._disks else None
        return disk if disk in self._disks else None

    def _writing(self, disk: int, busy: Collection[Target]) -> int:
        return sum(disk_of(self.folder_of(target)) == disk for target in busy)
