"""File locks between processes; the kernel releases them when a process dies, so they are never stale."""

import contextlib
import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from attnwatch.errors import BusyError
from attnwatch.system.abilities import has_no_locks
from attnwatch.system.folders import Folder, Identity, PathError
from attnwatch.system.lookups import require_regular
from attnwatch.system.sharing import share

_FLAGS = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_BETWEEN_LOOKS = 0.05  # seconds
_MOST_REMOVED = 10  # times that a lock may vanish before it counts as held
_HELD = frozenset({errno.EWOULDBLOCK, errno.EACCES})  # EACCES on some network file systems
_IN_THE_WAY = frozenset({errno.EACCES, errno.EISDIR, errno.ELOOP, errno.ENXIO})  # of another user, or no file


@contextlib.contextmanager
def exclusive(folder: Folder, name: str, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock of this name in a folder of outputs.

    Args:
        folder: folder of outputs.
        name: name of the lock, usually a video's identifier.
        patience: seconds to wait for another process that holds the lock.

    Raises:
        BusyError: another process still holds the lock.
        OSError: the lock cannot be created or taken.

    """
    file = lock_file(name)
    descriptor = _acquire(folder, file, time.monotonic() + patience)
    if descriptor is None:
        raise BusyError(f"{name}: another process is rendering it")
    _held.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _held:  # not in a process that was forked meanwhile
            # Removed while it is held: a process that opened it meanwhile finds it gone, and tries again.
            with contextlib.suppress(OSError):
                folder.unlink(file)
            _held.discard(descriptor)
            os.close(descriptor)


_held: set[int] = set()
"""Descriptors of the locks that this process holds."""


def _leave_to_parent() -> None:
    """Close the locks of the parent in a forked process, which would go on holding them after the parent's end."""
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_leave_to_parent)


def lock_file(name: str) -> str:
    """Return the name of a lock's file."""
    return f".{name}.lock"


def _acquire(folder: Folder, file: str, until: float) -> int | None:
    """Return the descriptor that holds a lock; None if another process held it until then."""
    removed = 0
    while True:
        with contextlib.ExitStack() as stack:
            descriptor = _open(folder, file)
            stack.callback(os.close, descriptor)
            is_free = _lock(descriptor)
            if is_free and _is_at(folder, file, descriptor):
                stack.pop_all()
                return descriptor
        # Free, but gone: its holder has just removed it.
        removed += is_free
        if not is_free or removed > _MOST_REMOVED:
            if time.monotonic() >= until:
                return None
            time.sleep(_BETWEEN_LOOKS)


def _open(folder: Folder, file: str) -> int:
    """Open a lock's file, and create it if it is missing; of what is in the way, say what to do."""
    try:
        with folder.at(file):
            descriptor = _made(folder, file)
            return _found(folder, file) if descriptor is None else descriptor
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
        with contextlib.suppress(FileNotFoundError):  # then it is the folder that cannot be written
            found = f"found something of user {folder.stat(file).st_uid} that cannot be opened ({error.strerror})"
            reason = f"{found}; expected a lock; remove it once no watcher of that user works there"
            raise PathError(errno.EACCES, reason, str((folder.path / file).absolute())) from error
        raise


def _made(folder: Folder, file: str) -> int | None:
    """Create a lock's file, for all who share the folder; None if something has its name."""
    try:
        descriptor = os.open(file, _FLAGS | os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder.fileno())
    except FileExistsError:
        return None
    share(descriptor, folder.fileno())
    return descriptor


def _found(folder: Folder, file: str) -> int:
    try:
        descriptor = os.open(file, _FLAGS | os.O_RDWR | os.O_CREAT, 0o666, dir_fd=folder.fileno())
    except PermissionError:  # it is another user's; to read it suffices for a lock on a local file system
        descriptor = os.open(file, _FLAGS | os.O_RDONLY, dir_fd=folder.fileno())
    try:
        require_regular(os.fstat(descriptor), str(folder.path / file))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int) -> bool:
    """Return whether the lock could be taken; on a file system without locks, there is nothing to take."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if not has_no_locks(error):
            raise
    return True


def _is_at(folder: Folder, file: str, descriptor: int) -> bool:
    try:
        return Identity.of(folder.stat(file)) == Identity.of(os.fstat(descriptor))
    except FileNotFoundError:
        return False


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
