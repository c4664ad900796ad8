"""A file system without working locks, such as NFS whose lock server is down.

`python -m tests.lockless_mount FOLDER MOUNT` shows the contents of a folder, by way of FUSE, and answers each request
for a lock with ENOLCK.
"""

import errno
import os
import sys
from pathlib import Path
from typing import Any

import mfusepy

_STATUS = ("mode", "nlink", "uid", "gid", "size", "ino", "blocks")
_ROOM = ("bavail", "bfree", "blocks", "bsize", "files", "ffree", "frsize", "namemax")


class Lockless(mfusepy.Operations):
    """The file system; operations have the names and arguments of libfuse's."""

    use_ns = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _at(self, path: str) -> Path:
        return self._folder / path.removeprefix("/")

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = self._at(path).lstat()
        times = {f"st_{name}": getattr(found, f"st_{name}_ns") for name in ("atime", "mtime", "ctime")}
        return {f"st_{name}": getattr(found, f"st_{name}") for name in _STATUS} | times

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *(entry.name for entry in self._at(path).iterdir())]

    def open(self, path: str, flags: int) -> int:
        return os.open(self._at(path), flags)

    def create(self, path: str, mode: int, fi: object = None) -> int:
        return os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        os.truncate(self._at(path) if fh is None else fh, length)

    def release(self, path: str, fh: int) -> None:
        os.close(fh)

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        os.fsync(fh)

    def rename(self, old: str, new: str) -> None:
        self._at(old).rename(self._at(new))

    def link(self, target: str, source: str) -> None:
        self._at(target).hardlink_to(self._at(source))

    def symlink(self, target: str, source: str) -> None:
        self._at(target).symlink_to(source)

    def readlink(self, path: str) -> str:
        return str(self._at(path).readlink())

    def mkdir(self, path: str, mode: int) -> None:
        self._at(path).mkdir(mode)

    def rmdir(self, path: str) -> None:
        self._at(path).rmdir()

    def unlink(self, path: str) -> None:
        self._at(path).unlink()

    def chmod(self, path: str, mode: int) -> None:
        self._at(path).chmod(mode)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        os.utime(self._at(path), ns=times)

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._at(path))
        return {f"f_{name}": getattr(found, f"f_{name}") for name in _ROOM}

    def flock(self, path: str, fh: int, op: int) -> int:
        raise mfusepy.FuseOSError(errno.ENOLCK)

    def lock(self, path: str, fh: int, cmd: int, lock: object) -> int:
        raise mfusepy.FuseOSError(errno.ENOLCK)


if __name__ == "__main__":
    shown, mount = sys.argv[1:]
    mfusepy.FUSE(Lockless(Path(shown)), mount, foreground=True, fsname="lockless", subtype="lockless")
