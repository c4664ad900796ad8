"""An open folder, below which everything is reached by descriptors, so that no link and no exchanged folder leads away.

Whoever may write to a folder can exchange any part of a path for a link between two uses of it. A descriptor stays with
the folder that was opened, whatever becomes of its name.
"""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from attnwatch.system.lookups import FOLDER, LinkError, Links, PathError, link_error, lookup, naming, require_regular

__all__ = ["Folder", "Identity", "LinkError", "Links", "PathError"]

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # opening a FIFO would wait for its writer
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Identity(NamedTuple):
    """What tells a file or folder from every other one while it exists."""

    device: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Return the identity in a result of `stat`."""
        return cls(status.st_dev, status.st_ino)


class Folder:
    """An open folder; a context manager that closes it.

    What is read is named by a path relative to the folder, in which `..` and NUL are refused. What is written, moved or
    removed is a plain name in this very folder.

    Attributes:
        path: how it was reached, for messages.
        links: which links are followed below it.
        identity: of the folder.

    """

    def __init__(self, descriptor: int, path: Path, links: Links) -> None:
        """Take over a descriptor; use `open` instead."""
        self._descriptor = descriptor
        self.path = path
        self.links = links
        self.identity = Identity.of(os.fstat(descriptor))

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
                raise link_error(path) from None
            raise
        return cls(descriptor, path, links)

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
    def handle(self) -> Path:
        """Path of this very folder for libraries that open files by name; valid in this process while it is open."""
        return Path(f"/proc/self/fd/{self._descriptor}")

    def still_at(self, path: Path) -> bool:
        """Return whether a path still leads to this folder."""
        try:
            return Identity.of(path.stat()) == self.identity
        except OSError:
            return False

    def folder(self, name: str, *, create: bool = False) -> "Folder":
        """Open a folder below this one.

        Args:
            name: its path; `.` for this folder itself.
            create: create all of it that is missing.

        Raises:
            LinkError: the path goes through a link that is not followed.
            OSError: it does not exist, or is not a folder.

        """
        with lookup(self._descriptor, name, self.links, self.path, create=create, into=True) as (descriptor, _):
            return Folder(os.dup(descriptor), self.path / name, self.links)

    def open_file(self, name: str) -> BinaryIO:
        """Open a regular file for reading; anything else is refused without waiting for it.

        Raises:
            LinkError: the path goes through a link that is not followed.
            OSError: it does not exist, cannot be read, or is not a regular file.

        """
        follow = self.links is Links.ALL
        with lookup(self._descriptor, name, self.links, self.path) as (parent, last):
            # Looked at before it is opened, because opening a device may do something.
            require_regular(os.stat(last, dir_fd=parent, follow_symlinks=follow), self.path / name)
            descriptor = os.open(last, _READ if follow else _READ | os.O_NOFOLLOW, dir_fd=parent)
        try:
            require_regular(os.fstat(descriptor), self.path / name)
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
        with lookup(self._descriptor, name, self.links, self.path) as (parent, last):
            return os.stat(last, dir_fd=parent, follow_symlinks=self.links is Links.ALL)

    def names(self) -> list[str]:
        """Return the names in this folder, in no order."""
        with self._listing() as descriptor:
            return os.listdir(descriptor)  # noqa: PTH208 - a descriptor is no path

    def sync(self) -> None:
        """Flush the names in this folder to disk."""
        with self._listing() as descriptor:
            os.fsync(descriptor)

    @contextlib.contextmanager
    def _listing(self) -> Iterator[int]:
        with naming(self.path):
            descriptor = os.open(".", _LIST, dir_fd=self._descriptor)
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    def create(self, name: str) -> BinaryIO:
        """Create a file and open it for writing.

        Raises:
            FileExistsError: something has this name, be it a link.

        """
        with self._at(name):
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
        with self._at(name), target._at(target_name):
            os.replace(name, target_name, src_dir_fd=self._descriptor, dst_dir_fd=target.fileno())

    def unlink(self, name: str) -> None:
        """Remove a file, or a link itself; nothing happens if it is absent."""
        with self._at(name), contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def link_or_copy(self, name: str, target: "Folder", target_name: str) -> None:
        """Make a regular file available under a second name: as a hard link, or as a copy if there can be none.

        Raises:
            LinkError: the file is a link.
            OSError: it does not exist or is not a regular file, or the second name is taken.

        """
        with self._at(name), target._at(target_name), self.open_file(name) as source:
            if not self._hard_link(name, target, target_name, Identity.of(os.fstat(source.fileno()))):
                with target.create(target_name) as copy:
                    shutil.copyfileobj(source, copy)

    def _hard_link(self, name: str, target: "Folder", target_name: str, identity: Identity) -> bool:
        """Link a file, and make sure that it is the one with this identity; return whether that was possible."""
        try:
            os.link(name, target_name, src_dir_fd=self._descriptor, dst_dir_fd=target.fileno(), follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:
            return False
        if Identity.of(target.stat(target_name)) == identity:
            return True
        target.unlink(target_name)
        return False

    def remove_tree(self, name: str) -> None:
        """Remove a file, a link itself, or a folder with all that is in it; nothing happens if it is absent.

        Only two folders are open at a time, however deep the tree is: what lies deeper moves up before it is emptied.
        """
        with self._at(name):
            if self._remove_unless_full(name):
                return
            with self.folder(name) as top:
                while inside := top.names():
                    for one in inside:
                        top._empty(one)
            os.rmdir(name, dir_fd=self._descriptor)

    def _empty(self, name: str) -> None:
        """Remove what has a name; of a folder, move the folders in it here first."""
        if self._remove_unless_full(name):
            return
        with self.folder(name) as full:
            for inside in full.names():
                if not full._remove_unless_full(inside):
                    full.rename(inside, self, secrets.token_hex(16))
        os.rmdir(name, dir_fd=self._descriptor)

    def _remove_unless_full(self, name: str) -> bool:
        """Remove a file, link or empty folder; return whether nothing has the name any more."""
        try:
            os.unlink(name, dir_fd=self._descriptor)
        except FileNotFoundError:
            return True
        except IsADirectoryError:
            try:
                os.rmdir(name, dir_fd=self._descriptor)
            except FileNotFoundError:
                return True
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
                return False
        return True

    @contextlib.contextmanager
    def _at(self, name: str) -> Iterator[None]:
        """Check that a name is that of something in this very folder, and name its path in errors."""
        if "/" in name or "\0" in name or name in {"", ".", ".."}:
            reason = f"found {name!r}; expected a plain name, without '/' and NUL"
            raise PathError(errno.EINVAL, reason, str(self.path))
        with naming(self.path / name):
            yield
