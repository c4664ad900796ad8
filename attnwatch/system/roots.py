"""Folders that a user has named: from there on, no link is followed unless the user allows it."""

import os
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path

from attnwatch.system.exclusion import NOTHING, Exclusion
from attnwatch.system.folders import Folder, Links


@dataclass(frozen=True)
class Root:
    """Where lookups start.

    Whoever names a folder vouches for the way to it, links included. What is in it may belong to somebody else.

    Attributes:
        path: the folder.
        links: which links are followed below it.
        above: where the lookup of the folder itself starts; None if the user has named it.
        excluded: what is left out below it when videos are searched.

    """

    path: Path
    links: Links = Links.NONE
    above: "Root | None" = None
    excluded: Exclusion = field(default=NOTHING, compare=False)

    def below(self, path: Path, links: Links = Links.NONE) -> "Root":
        """Return a folder below this one as a root of its own. If all links are followed here, they are there too."""
        excluded = self.excluded.inside(Path(_relative(path, self.path))) if self.excluded else NOTHING
        return Root(path, self.links if self.links is Links.ALL else links, self, excluded)

    def seen_from(self, folder: Path) -> "Root":
        """Return the root as a process sees it that works in a folder: that folder, if it is at or below this root."""
        if not folder.is_relative_to(self.path):
            return self
        return Root(Path(), self.links, excluded=self.excluded.inside(folder.relative_to(self.path)))

    def open(self) -> Folder:
        """Open the root itself.

        Raises:
            LinkError: there is a link between the root above and it.
            OSError: it does not exist, or is not a folder.

        """
        if self.above is None:
            return Folder.open(self.path, links=self.links)
        with self.above.open() as above:
            return above.folder(_relative(self.path, self.above.path), links=self.links)

    def folder(self, path: Path, *, create: bool = False, parents: bool = False) -> Folder:
        """Open a folder at or below the root.

        Args:
            path: the folder, as seen from where the root's own path is.
            create: create it if it is missing.
            parents: create the folders between the root and it as well.

        Raises:
            LinkError: there is a link in between.
            OSError: it does not exist, or is not a folder.

        """
        with self.open() as root:
            return root.folder(_relative(path, self.path), create=create, parents=parents)

    def open_file(self, path: Path) -> BufferedReader:
        """Open a regular file below the root for reading.

        Raises:
            LinkError: it is a link, or there is one in between.
            OSError: it does not exist, cannot be read, or is not a regular file.

        """
        with self.open() as root:
            return root.open_file(_relative(path, self.path))

    def read(self, path: Path, most: int) -> bytes:
        """Return the first `most` bytes of a regular file below the root; see `open_file`."""
        with self.open_file(path) as file:
            # Bounded by the size as well: a buffer of `most` bytes is slow to allocate.
            return file.read(min(os.fstat(file.fileno()).st_size + 1, most))


def _relative(path: Path, root: Path) -> str:
    """Return a path relative to a root; one that is not below it with `..`, which lookups refuse."""
    # Several times as fast as with the methods of paths; a scan calls it for every video.
    inside, above = str(path), str(root)
    if inside == above:
        return "."
    if above == "." and not path.is_absolute():
        return inside
    prefix = above if above.endswith("/") else f"{above}/"
    return inside[len(prefix) :] if inside.startswith(prefix) else os.path.relpath(path, root)
