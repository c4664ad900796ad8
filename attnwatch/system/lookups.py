"""Looks up relative paths below an open folder, one component at a time, without leaving it through a link.

A path that is checked and then opened may have been exchanged in between. Here each component is opened relative to the
one before it, and what is open cannot be exchanged.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Self

from attnwatch.system.sharing import share

FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC  # O_PATH: passing through a folder takes no permission to list it
_MOST_STEPS = 4_096  # the longest path has half as many components; links that lead in a circle never end
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class PathError(OSError):
    """A path that is not used; `filename` and `strerror` say which and why."""

    def __init__(self, number: int, reason: str, path: str) -> None:
        super().__init__(number, reason, path)

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


class LinkError(PathError):
    """A path goes through a link that is not followed."""


class LinkedFolderError(LinkError, NotADirectoryError):
    """A folder on the way is a link that is not followed."""


class Identity(NamedTuple):
    """What tells a file or folder from every other one while it exists."""

    device: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Return the identity in a result of `stat`."""
        return cls(status.st_dev, status.st_ino)

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """Return the identity of what a path leads to, links followed; None if that is absent or inaccessible."""
        try:
            return cls.of(path.stat())
        except (OSError, ValueError):  # ValueError: NUL in the path
            return None


class Links(Enum):
    """Which links are followed below an open folder: none, those that stay inside it, or all."""

    NONE = "none"
    INSIDE = "inside"
    ALL = "all"


class Missing(Enum):
    """Which folders of a path are created if they are missing: none, the last one, or all."""

    NONE = "none"
    LAST = "last"
    ALL = "all"


@contextlib.contextmanager
def lookup(
    base: int, name: str, links: Links, shown: str, *, into: bool = False, missing: Missing = Missing.NONE
) -> Iterator[tuple[int, str]]:
    """Open the folder that contains the last component of a path; yield its descriptor and the component's name in it.

    Args:
        base: descriptor of the folder that the path starts from.
        name: relative path, with slashes; `.` stands for the folder itself.
        links: which links are followed. With `Links.NONE`, the last component may be one: open it with `O_NOFOLLOW`.
        shown: path of the folder that the path starts from, for errors.
        into: open the last component too, as a folder; the name is then `.`.
        missing: which folders are created if they are missing.

    Raises:
        LinkError: the path goes through a link that is not followed.
        PathError: the path is absolute, or contains `..` or NUL.
        OSError: a folder on the way does not exist, or is not a folder.

    """
    path = joined(shown, name)
    walk = _Walk(base, links, path, missing)
    try:
        with naming(path):
            last = walk.to_last([*_parts(name, path), *(["."] if into else [])])
            yield walk.descriptor, last
    finally:
        walk.close()


def joined(shown: str, name: str) -> str:
    """Return the path of a name below a folder, for errors."""
    if name in {"", "."}:
        return shown
    return name if shown == "." else f"{shown}/{name}"


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Name the whole path in the errors of calls that know its last component only."""
    try:
        yield
    except OSError as error:
        if not isinstance(error, PathError):
            error.filename = path
        raise


def require_regular(status: os.stat_result, path: str) -> None:
    """Raise an error if a result of `stat` does not describe a regular file."""
    if stat.S_ISLNK(status.st_mode):
        raise link_error(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        found = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise PathError(errno.EINVAL, f"found {found}; expected a regular file; replace it", path)


def link_error(path: str, reason: str = "", kind: type[LinkError] = LinkError) -> LinkError:
    """Return the error for a link that is not followed."""
    found = f"found a link{f' {reason}' if reason else ''}; expected a file or folder"
    return kind(errno.ELOOP, f"{found}; replace it by what it leads to, or use --follow-links", path)


class _Walk:
    """The folder that a lookup has reached.

    Only one descriptor is open at a time: at a link, and at each `..` in one, the lookup starts again from the base.
    """

    def __init__(self, base: int, links: Links, path: str, missing: Missing) -> None:
        self._base, self._links, self._path, self._missing = base, links, path, missing
        self._passed: list[str] = []
        self.descriptor = base

    def close(self) -> None:
        """Close what was opened, which is not the base."""
        if self.descriptor != self._base:
            os.close(self.descriptor)
        self.descriptor = self._base

    def to_last(self, parts: list[str]) -> str:
        """Enter all components but the last, and return that one."""
        ahead = parts[::-1] or ["."]
        for _ in range(_MOST_STEPS):
            part = ahead.pop()
            if part == "..":  # comes from a link; what was passed before it is free of links
                if not self._passed:
                    raise link_error(self._path, "that leads out")
                ahead.extend(reversed(self._passed[:-1]))
                self._start_again()
            elif (target := self._followed(part)) is not None:
                ahead.extend(reversed(target))
                self._start_again()
            elif ahead:
                new = {Missing.LAST, Missing.ALL} if ahead == ["."] else {Missing.ALL}
                self._enter(part, create=self._missing in new)
            else:
                return part
            ahead = ahead or ["."]
        raise link_error(self._path, "that leads in a circle")

    def _start_again(self) -> None:
        self.close()
        self._passed = []

    def _followed(self, part: str) -> list[str] | None:
        """Return the components, from the base, that a link inside stands for; None if it is not to be followed."""
        if self._links is not Links.INSIDE:
            return None
        try:
            target = os.readlink(part, dir_fd=self.descriptor)
        except OSError as error:
            if error.errno in {errno.EINVAL, errno.ENOENT}:  # no link; absent
                return None
            raise
        if not target.startswith("/"):
            return [*self._passed, *_components(target)]
        base = str(Path(f"/proc/self/fd/{self._base}").readlink())
        if not f"{target}/".startswith(f"{base.rstrip('/')}/"):
            raise link_error(self._path, "that leads out")
        return _components(target[len(base) :])

    def _enter(self, part: str, *, create: bool) -> None:
        made = False
        if create:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=self.descriptor)
                made = True
        flags = FOLDER if self._links is Links.ALL else FOLDER | os.O_NOFOLLOW
        try:
            inside = os.open(part, flags, dir_fd=self.descriptor)
        except NotADirectoryError:
            if stat.S_ISLNK(os.stat(part, dir_fd=self.descriptor, follow_symlinks=False).st_mode):
                raise link_error(self._path, kind=LinkedFolderError) from None
            raise
        if made:
            share(inside, self.descriptor)
        self.close()
        self.descriptor = inside
        self._passed.append(part)


def _parts(name: str, path: str) -> list[str]:
    parts = _components(name)
    if name.startswith("/") or ".." in parts or "\0" in name:
        reason = "found an absolute path, '..' or NUL; expected the path of something inside the folder"
        raise PathError(errno.EINVAL, reason, path)
    return parts


def _components(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]
