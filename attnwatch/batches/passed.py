"""What walks pass without finding a finished video: closed folders, links, videos without a manifest, empty batches."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from attnwatch.batches.discover import Folder, older_videos
from attnwatch.contract.names import printable
from attnwatch.contract.reading import read_document
from attnwatch.errors import ManifestError
from attnwatch.media.marks import is_marked
from attnwatch.system.roots import Root

_MOST_NAMED = 3
_MOST = 1000  # paths that are kept of each kind
_BEING_WRITTEN = 60.0  # seconds for which a video may be without its manifest while it is being finished


class _Named(BaseModel):
    """The part of a manifest that names its video."""

    video: str = ""


@dataclass
class Passed:
    """What one or more walks passed, for people who ask why nothing is rendered.

    Attributes:
        looks_for_unmarked: whether to look for videos without a manifest, which takes a stat for each.
        linked: links to folders that were not followed.
        closed: the first folders that cannot be read, and why.
        unmarked: the first videos without a manifest that have not been written just now.
        unmarked_number: number of all of them.
        batches: folders with a `batch.json`.
        excluded: the first files and folders that the user leaves out.
        excluded_number: number of all of them.

    """

    looks_for_unmarked: bool = True
    linked: list[Path] = field(default_factory=list)
    closed: dict[Path, str] = field(default_factory=dict)
    unmarked: list[Path] = field(default_factory=list)
    unmarked_number: int = 0
    batches: list[Path] = field(default_factory=list)
    excluded: list[Path] = field(default_factory=list)
    excluded_number: int = 0
    _older: str | None = None  # the older batch that was entered last

    def take(self, folder: Folder) -> None:
        """Note what is in a folder; folders must come in the order of the walk."""
        if folder.linked:
            self.linked.extend(Path(folder.path, name) for name in folder.linked)
        if folder.closed is not None and len(self.closed) < _MOST:
            self.closed[Path(folder.path)] = folder.closed
        if folder.excluded:
            self.excluded_number += len(folder.excluded)
            room = max(0, _MOST_NAMED - len(self.excluded))
            self.excluded += (Path(folder.path, name) for name in sorted(folder.excluded)[:room])
        if folder.is_batch:
            self.batches.append(Path(folder.path))
        if self.looks_for_unmarked:
            self._look_for_unmarked(folder)

    def _look_for_unmarked(self, folder: Folder) -> None:
        if folder.older and older_videos(folder):
            self._older = f"{folder.path}/"  # its folders come next
        if folder.unmarked and (self._older is None or not f"{folder.path}/".startswith(self._older)):
            found = list(_unmarked(folder))
            self.unmarked_number += len(found)
            self.unmarked += found[: _MOST - len(self.unmarked)]


def named_first(names: Sequence[str], number: int | None = None) -> str:
    """Return the first names of a list, and how many more there are, if `number` is not their own."""
    left = (len(names) if number is None else number) - _MOST_NAMED
    return f"{', '.join(names[:_MOST_NAMED])}{f' and {left:,} more' if left > 0 else ''}"


def closed(folders: dict[Path, str]) -> str:
    """Return what to say about folders that cannot be read."""
    named = named_first([f"{printable(str(path))} ({problem})" for path, problem in folders.items()])
    many = len(folders) > 1
    about = f"{len(folders):,} folder{'s' if many else ''} cannot be read, so nothing in {'them' if many else 'it'} is"
    return f"{about} rendered: {named}; allow the watcher's user to read and enter {'them' if many else 'it'}"


def unmarked(videos: Sequence[Path], number: int) -> str:
    """Return what to say about videos without a manifest, given the first of them and the number of all."""
    have = "video has" if number == 1 else "videos have"
    named = named_first([printable(str(path)) for path in videos], number)
    return f"{number:,} {have} no manifest, and so no attention to render: {named}"


def excluded(paths: Sequence[Path], number: int) -> str:
    """Return what to say about what the user leaves out, given the first paths and the number of all.

    Only the number changes while more is made that matches, so that a log need not say the same in each scan.
    """
    named = named_first([printable(str(path)) for path in paths])
    return f"{number:,} {'match' if number > 1 else 'matches'} `exclude`: {named}"


def _unmarked(folder: Folder) -> Iterator[Path]:
    """Yield the videos in a folder that no manifest in it names, unless attnwatch made them, or they are very new."""
    named = {_video_of(Path(folder.path, name), folder.start) for name in folder.files}
    for name in sorted(folder.unmarked):
        path = Path(folder.path, name)
        with contextlib.suppress(OSError):
            is_old = time.time() - os.lstat(path).st_mtime > _BEING_WRITTEN
            if name not in named and is_old and not is_marked(path):
                yield path


def _video_of(manifest: Path, root: Root | None) -> str:
    try:
        return read_document(manifest, _Named, root=root)[0].video
    except (ManifestError, OSError):
        return ""
