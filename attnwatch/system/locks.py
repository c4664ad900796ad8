"""File locks between processes; the kernel releases them when a process dies, so they are never stale."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from attnwatch.errors import BusyError


@contextlib.contextmanager
def exclusive(directory: Path, name: str, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of this name in a folder of outputs, which is created if necessary.

    Args:
        directory: folder of outputs.
        name: name of the lock, usually a video's identifier.
        patience: seconds to wait for another process that holds the lock.

    Raises:
        BusyError: another process still holds the lock.

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
        # Removed while it is held: a process that opened it meanwhile finds the inode unlinked, and tries again.
        path.unlink(missing_ok=True)
        lock.release()


def lock_file(directory: Path, name: str) -> Path:
    """Return the path of a lock file."""
    return directory / f".{name}.lock"


def locked_inodes() -> frozenset[int]:
    """Return the inode numbers of all files locked by processes of this machine, without touching the files.

    Device numbers are left out: on an overlay or a subvolume, those in the kernel's table, see proc_locks(5), differ
    from those of `stat`.
    """
    try:
        table = _LOCKS.read_text(encoding="ascii")
    except OSError:
        return frozenset()
    return frozenset(int(inode) for inode in _LOCKED.findall(table))


_LOCKS = Path("/proc/locks")
_LOCKED = re.compile(r"^\d+: FLOCK .* [\da-f]+:[\da-f]+:(\d+) ", re.MULTILINE)
