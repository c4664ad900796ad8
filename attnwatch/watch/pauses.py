"""Who has to wait because something has run out: for the machine everybody, for a full disk only what goes there."""

from collections.abc import Collection
from pathlib import Path

from attnwatch.batches.targets import Target
from attnwatch.batches.videos import home_of
from attnwatch.system.shortage import Shortage, disk_of
from attnwatch.watch.backlog import Backlog, Waiting
from attnwatch.watch.pause import Pause


class Pauses:
    """The pause of everything, and one for each full disk; what is due and goes there is kept back in the backlog.

    Args:
        backlog: what waits.
        out: where all outputs go; None: beside their videos.

    """

    def __init__(self, backlog: Backlog, out: Path | None) -> None:
        self.machine = Pause()
        """Nothing at all is started during this one."""
        self._disks: dict[int, Pause] = {}
        self._backlog = backlog
        self._out = out

    @property
    def reason(self) -> str | None:
        """Why something is not started; None while there is no pause."""
        reasons = (pause.reason for pause in (self.machine, *self._disks.values()))
        return "; ".join(reason for reason in reasons if reason is not None) or None

    def folder_of(self, target: Target) -> Path:
        """Return a folder on the disk that the outputs of a target go to."""
        return self._out or target.batch or home_of(target.manifest)

    def begin(self, shortage: Shortage, reason: str, target: Target) -> None:
        """Pause what is concerned: everything, or what goes to the same disk as the outputs of a target."""
        folder = self.folder_of(target)
        disk = disk_of(folder) if shortage is Shortage.DISK else None
        pause = self.machine if disk is None else self._disks.setdefault(disk, Pause(folder))
        pause.begin(reason)

    def end(self, target: Target) -> None:
        """Go on, because something was rendered; other disks than its own may still be full."""
        self.machine.end()
        if (disk := self._full_disk(target)) is not None:
            self._resume(disk)

    def look(self, busy: Collection[Target], min_free_space: int) -> None:
        """Let go of one target for each disk that it is time to try, while nothing else is written there."""
        for disk, pause in list(self._disks.items()):
            if pause.folder is None or disk_of(pause.folder) != disk:
                self._resume(disk)  # it was unmounted, or the folder deleted: there is nothing to look at any more
                continue
            running = self._writing(disk, busy)
            pause.look(running, min_free_space)
            if pause.lets_start(running):
                self._backlog.release(disk, most=1)

    def next_look(self, busy: Collection[Target]) -> float | None:
        """Return the monotonic time at which a disk may be tried, None if nothing waits for that."""
        looks = (
            pause.next_look(self._writing(disk, busy))
            for disk, pause in self._disks.items()
            if self._backlog.holds(disk)
        )
        return min((look for look in looks if look is not None), default=None)

    def pop_due(self, now: float, busy: Collection[Target]) -> Waiting | None:
        """Take out of the backlog what is next and need not wait, and keep back what comes before it."""
        while (waiting := self._backlog.pop_due(now)) is not None:
            if (disk := self.in_the_way(waiting.target, busy)) is None:
                break
            self._backlog.hold(waiting, disk)
        return waiting

    def in_the_way(self, target: Target, busy: Collection[Target]) -> int | None:
        """Return the full disk that a target waits for; None if it may be started, at most as the only one there."""
        disk = self._full_disk(target)
        if disk is None or (self._disks[disk].lets_start(0) and not self._writing(disk, busy)):
            return None
        return disk

    def _resume(self, disk: int) -> None:
        self._disks.pop(disk).end()
        self._backlog.release(disk)

    def _full_disk(self, target: Target) -> int | None:
        """Return the disk that a target's outputs go to if it is paused; as long as none is, none is looked for."""
        disk = disk_of(self.folder_of(target)) if self._disks else None
        return disk if disk in self._disks else None

    def _writing(self, disk: int, busy: Collection[Target]) -> int:
        return sum(disk_of(self.folder_of(target)) == disk for target in busy)
