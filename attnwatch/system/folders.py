"""An open folder, below which everything is reached by descriptors, so that no link and no exchanged folder leads away.

Whoever may write to a folder can exchange any part of a path for a link between two uses of it. A descriptor stays with
the folder that was opened, whatever becomes of its name.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Self

from attnwatch.system.abilities import sync_folder
from attnwatch.system.lookups import (
    FOLDER,
    Identity,
    LinkError,
    Links,
    Missing,
    PathError,
    joined,
    link_error,
    lookup,
    naming,
    require_regular,
)

__all__ = ["Folder", "Identity", "LinkError", "Links", "PathError"]

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # opening a FIFO would wait for its writer
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """An open folder; a context manager that closes it.

    What is read is named by a path relative to the folder, in which `..` and NUL are refused. What is written, moved or
    removed is a plain name in this very folder.

    Attributes:
        links: which links are followed below it.

    """

    def __init__(self, descriptor: int, shown: str, links: Links) -> None:
        """Take over a descriptor; use `open` instead."""
        self._descriptor = descriptor
        self._shown = shown
        self.links = links

    @classmethod
    def open(cls, path: Path, *, follow: bool = True, links: Links = Links.NONE) -> Self:
        """Open a folder.

        Args:
            path: the folder. Links above it are followed: whoever names a path vouches for it.
            follow: whether the folder may be a link itself.
            links: which links are followed below it.

        Raises:
            LinkError: it is a link and `follow` is false.
            OSError: it does not exist, or is not a folder.

        """
        try:
            descriptor = os.open(path, FOLDER if follow else FOLDER | os.O_NOFOLLOW)
        except NotADirectoryError:
            if not follow and path.is_symlink():
                raise link_error(str(path)) from None
            raise
        return cls(descriptor, str(path), links)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def fileno(self) -> int:
        """Return the descriptor: good for lookups (`dir_fd`), not for listing or flushing."""
        return self._descriptor

    @property
    def path(self) -> Path:
        """How the folder was reached, for messages."""
        return Path(self._shown)

    @cached_property
    def identity(self) -> Identity:
        """Identity of the folder."""
        return Identity.of(os.fstat(self._descriptor))

    @property
    def handle(self) -> Path:
        """Path of this very folder for libraries that open files by name; valid in this process while it is open."""
        return Path(f"/proc/self/fd/{self._descriptor}")

    def still_at(self, path: Path) -> bool:
        """Return whether a path still leads to this folder."""
        return Identity.at(path) == self.identity

    def folder(self, name: str, *, create: bool = False, parents: bool = False, links: Links | None = None) -> "Folder":
        """Open a folder below this one.

        Args:
            name: its path; `.` for this folder itself.
            create: create it if it is missing.
            parents: create the folders between as well.
            links: which links are followed below it; None for the same as here. What is open to all stays so.

        Raises:
            LinkError: the path goes through a link that is not followed.
            OSError: it does not exist, or is not a folder.

        """
        new = Missing.ALL if parents else Missing.LAST if create else Missing.NONE
        with lookup(self._descriptor, name, self.links, self._shown, into=True, missing=new) as (descriptor, _):
            below = self.links if links is None or self.links is Links.ALL else links
            return Folder(os.dup(descriptor), joined(self._shown, name), below)

    def open_file(self, name: str) -> BufferedReader:
        """Open a regular file for reading; anything else is refused without waiting for it.

        Raises:
            LinkError: the path goes through a link that is not followed.
            OSError: it does not exist, cannot be read, or is not a regular file.

        """
        follow = self.links is Links.ALL
        with lookup(self._descriptor, name, self.links, self._shown) as (parent, last):
            # Looked at before it is opened, because opening a device may do something.
            require_regular(os.stat(last, dir_fd=parent, follow_symlinks=follow), joined(self._shown, name))
            descriptor = os.open(last, _READ if follow else _READ | os.O_NOFOLLOW, dir_fd=parent)
        try:
            require_regular(os.fstat(descriptor), joined(self._shown, name))
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise

    def stat(self, name: str) -> os.stat_result:
        """Return the status of what is at a path; of a link itself if it is not followed.

        Raises:
            LinkError: the path goes through a link that is not followed.
            OSError: nothing is there.

        """
        with lookup(self._descriptor, name, self.links, self._shown) as (parent, last):
            return os.stat(last, dir_fd=parent, follow_symlinks=self.links is Links.ALL)

    @contextlib.contextmanager
    def scan(self) -> Iterator[Iterator[os.DirEntry[str]]]:
        """Yield what is in this folder, as `os.scandir` does, with names for paths; valid within the context."""
        with self._listing() as descriptor, os.scandir(descriptor) as entries:
            yield entries

    def names(self) -> list[str]:
        """Return the names in this folder, in no order."""
        with self.scan() as entries:
            return [entry.name for entry in entries]

    def folders(self) -> list[str]:
        """Return the names of the folders in this folder, in no order; where all links are followed, also those."""
        with self.scan() as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=self.links is Links.ALL)]

    def sync(self) -> None:
        """Flush the names in this folder to disk, if its file system can do that."""
        with self._listing() as descriptor:
            sync_folder(descriptor)

    @contextlib.contextmanager
    def _listing(self) -> Iterator[int]:
        with naming(self._shown):
            descriptor = os.open(".", _LIST, dir_fd=self._descriptor)
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    def make(self, name: str, *, private: bool = False) -> None:
        """Create a folder; with `private`, one that no other user can enter.

        Raises:
            FileExistsError: something has this name.

        """
        with self.at(name):
            os.mkdir(name, 0o700 if private else 0o777, dir_fd=self._descriptor)

    def create(self, name: str) -> BinaryIO:
        """Create a file and open it for writing.

        Raises:
            FileExistsError: something has this name, be it a link.

        """
        with self.at(name):
            return os.fdopen(os.open(name, _NEW, 0o666, dir_fd=self._descriptor), "wb")

    @contextlib.contextmanager
    def writing(self, name: str, *, durable: bool = True) -> Iterator[BinaryIO]:
        """Open a file for writing; it gets its name at the end of the context, unless an error is raised.

        Args:
            name: final name; a file or link that has it is replaced.
            durable: flush the file to disk. Otherwise readers still see all of it or nothing, but a power failure may
                lose it.

        """
        # The process id alone is not unique: two containers may share it.
        temporary = f".{name[:200]}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
        try:
            with self.create(temporary) as file:
                yield file
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            self.rename(temporary, self, name)
        except BaseException:
            self.unlink(temporary)
            raise
        if durable:
            self.sync()

    def write(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Write a file that is never visible in part; see `writing`."""
        with self.writing(name, durable=durable) as file:
            file.write(data)

    def rename(self, name: str, target: "Folder", target_name: str) -> None:
        """Move a file or folder into a folder of the same file system; a file or link that has the name is replaced."""
        with self.at(name), target.at(target_name):
            os.replace(name, target_name, src_dir_fd=self._descriptor, dst_dir_fd=target.fileno())

    def unlink(self, name: str) -> None:
        """Remove a file, or a link itself; nothing happens if it is absent."""
        with self.at(name), contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def link(self, name: str, target: "Folder", target_name: str) -> None:
        """Make a file available under a second name on the same file system; of a link, the link itself.

        Raises:
            OSError: the second name is taken, or the file system has no hard links.

        """
        with self.at(name), target.at(target_name):
            os.link(name, target_name, src_dir_fd=self._descriptor, dst_dir_fd=target.fileno(), follow_symlinks=False)

    def remove(self, name: str) -> bool:
        """Remove a file, a link itself or an empty folder; return whether nothing has the name any more.

        See `attnwatch.system.files.remove_tree` for folders that are not empty.
        """
        with self.at(name), contextlib.suppress(FileNotFoundError):
            try:
                os.unlink(name, dir_fd=self._descriptor)
            except IsADirectoryError:
                try:
                    os.rmdir(name, dir_fd=self._descriptor)
                except OSError as error:
                    if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                        raise
                    return False
        return True

    @contextlib.contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Check that a name is that of something in this very folder, and name its path in errors.

        For calls that take this folder as `dir_fd`, and a name.
        """
        if "/" in name or "\0" in name or name in {"", ".", ".."}:
            reason = f"found {name!r}; expected a plain name, without '/' and NUL"
            raise PathError(errno.EINVAL, reason, self._shown)
        with naming(joined(self._shown, name)):
            yield
