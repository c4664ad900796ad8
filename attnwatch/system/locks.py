"""Locks that keep other processes out; the kernel frees them when a process dies, so there are no stale ones."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from attnwatch.errors import BusyError

ENDLESS = -1.0
"""Patience that does not end: a job has its deadline anyway."""


@contextlib.contextmanager
def exclusive(directory: Path, name: str, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of what has this name in a folder of outputs, which is made if need be.

    Args:
        directory: the folder.
        name: what is locked.
        patience: seconds to wait for a process that holds it.

    Raises:
        BusyError: another process holds it, and goes on to do so.

    """
    directory.mkdir(exist_ok=True)
    path = lock_file(directory, name)
    lock = FileLock(path, timeout=patience)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(f"{name}: another process is rendering it") from None
    try:
        yield
    finally:
        # Removed while it is held: whoever opened it meanwhile finds the inode unlinked, and tries anew.
        path.unlink(missing_ok=True)
        lock.release()


def lock_file(directory: Path, name: str) -> Path:
    """Return the file that the lock is on."""
    return directory / f".{name}.lock"


def locked_inodes() -> frozenset[int]:
    """Return the inode numbers of all files that a process of this machine has locked, without touching any of them.

    Without device numbers: the kernel's table has those of the file system below an overlay or a subvolume, and `stat`
    has others. Format of the table: proc_locks(5).
    """
    try:
        table = _LOCKS.read_text(encoding="ascii")
    except OSError:
        return frozenset()
    return frozenset(int(inode) for inode in _LOCKED.findall(table))


_LOCKS = Path("/proc/locks")
_LOCKED = re.compile(r"^\d+: FLOCK .* [\da-f]+:[\da-f]+:(\d+) ", re.MULTILINE)
