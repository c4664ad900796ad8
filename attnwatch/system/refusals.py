"""Says in words what the system refused to do with a file, and what to do about it."""

import errno
import os

from attnwatch.system.permissions import user

_DENIED = frozenset({errno.EACCES, errno.EPERM})
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_TOO_MANY = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN})


def in_words(error: OSError) -> str:
    """Return what was found, what was expected and what to do.

    The message of an error that was raised with one of its own is returned as it is.
    """
    said = str(error.strerror)
    if error.errno is None or said != os.strerror(error.errno):
        return str(error).removeprefix(f"[Errno {error.errno}] ")
    if not isinstance(error.filename, (str, bytes)):
        return f"found {said}; {remedy(error)}"
    return f"{os.fsdecode(error.filename)}: cannot be used ({said}); {remedy(error)}"


def remedy(error: OSError) -> str:
    """Return what was expected of a file that cannot be used, and what to do."""
    return _expected(error.errno or errno.EIO)


def _expected(number: int) -> str:
    if number in _DENIED:
        then = "change its permissions and those of the folders above, or run as its owner"
        return f"expected a file or folder that user {user()} may use; {then}"
    if number in _ABSENT:
        return "expected a file at this path; write it again, and its manifest last"
    if number in _FULL:
        return "expected room on its disk; free some space"
    if number in _TOO_MANY:
        return "expected fewer open files and processes; raise the limits (ulimit -n, -u)"
    if number == errno.EROFS:
        return "expected a disk that can be written; mount it read-write, or name another folder with --out"
    if number == errno.ENOLCK:
        return "expected a file system whose locks work; mount it with them, as `attnwatch doctor` says"
    return "expected a disk that works; check it, or the mount and its server"
