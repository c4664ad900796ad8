"""What some file systems cannot do, mostly network shares and FUSE: the watcher works without it, and `doctor` says so.

The kernel answers such a request with an error of its own. Any other error means that the file system can do it, and
has failed.
"""

import errno
import os

_NO_SYNCED_FOLDERS = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOTSUP})


def sync_folder(descriptor: int) -> bool:
    """Flush the names in an open folder to disk.

    Returns:
        Whether its file system can do that. If not, what was renamed last may be missing after a power failure.

    Raises:
        OSError: it can, and has failed.

    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNCED_FOLDERS:
            raise
        return False
    return True


def has_no_locks(error: OSError) -> bool:
    """Return whether `flock` failed because the file system has no locks: watchers cannot see each other's work."""
    return error.errno in _NO_LOCKS
