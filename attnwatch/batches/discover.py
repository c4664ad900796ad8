"""Finds the videos below a folder: by their manifests or, in older batches, by their tensor folders."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from attnwatch.batches.entered import NOT_ENTERED, is_searched, shown
from attnwatch.batches.legacy.layouts import (
    SUMMARY_FILE,
    batch_around,
    is_old_name,
    old_video,
    old_video_around,
    old_videos_in,
)
from attnwatch.batches.legacy.pairing import manifest_beside, tensors_of
from attnwatch.contract.names import (
    BATCH_COMPLETE_FILE,
    BATCH_FILE,
    EXPORT_SUFFIX,
    MANIFEST_SUFFIX,
    TENSOR_DIRECTORY,
    export_prefix,
    is_manifest,
    printable,
)
from attnwatch.system.exclusion import NOTHING, Exclusion
from attnwatch.system.folders import Folder as OpenFolder
from attnwatch.system.folders import Identity, Links
from attnwatch.system.roots import Root

_VIDEOS = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif"})
_MOST_NAMED = 3
_MOST_OPEN = 16  # folders that a walk keeps open


@dataclass
class Folder:
    """One folder visited by a walk.

    Attributes:
        path: path of the folder.
        files: names of the matching files, sorted.
        folders: number of folders directly inside, including those of tensors and outputs, which the walk does not
            enter.
        older: whether it contains tensors that may belong to an older batch.
        within: limits the older videos of this folder to those at or below this path; None for all of them.
        start: where the walk started, and which links it follows.
        linked: names of links to folders, which were not entered.
        unmarked: names of videos without a manifest beside them, in any order; those of an export left out.
        is_batch: whether it contains `batch.json`.
        excluded: names of files and folders that the user leaves out.
        closed: why it cannot be read, as far as it was not; None if it can, or if it has vanished.

    """

    path: str
    files: list[str] = field(default_factory=list)
    folders: int = 0
    older: bool = False
    within: Path | None = None
    start: Root | None = None
    linked: list[str] = field(default_factory=list)
    unmarked: list[str] = field(default_factory=list)
    is_batch: bool = False
    excluded: list[str] = field(default_factory=list)
    closed: str | None = None


def find_manifests(root: Path, start: Root | None = None) -> Iterator[Path]:
    """Yield every manifest at or below a path, folders in order of name."""
    return find_files(root, is_manifest, start)


def find_videos(root: Path, start: Root | None = None) -> Iterator[Path]:
    """Yield the path that identifies each video at or below a path: its manifest, or an older video's tensor folder."""
    for folder in walk(root, start=start):
        yield from videos_in(folder)


def videos_in(folder: Folder) -> list[Path]:
    """Return the videos of a visited folder: manifests first, then the tensor folders of older videos without one."""
    return [*(Path(folder.path, name) for name in folder.files), *older_videos(folder)]


def older_videos(folder: Folder) -> list[Path]:
    """Return the tensor folders of the older videos in a visited folder that have no manifest yet."""
    if not folder.older:
        return []
    only = None if folder.within is None else old_video(folder.within)
    found = old_videos_in(Path(folder.path), folder.start) if only is None else iter([only])
    within = folder.within or Path(folder.path)
    selected = (old for old in found if old.tensors.is_relative_to(within) and not _is_left_out(old.tensors, folder))
    return [old.tensors for old in selected if not manifest_beside(old).exists()]


def layout_of(tensors: Path) -> int:
    """Return the number of the older layout that a tensor folder follows, 1 to 4; 0 if it follows none."""
    old = old_video(tensors)
    return 0 if old is None else old.layout


def find_files(root: Path, wanted: Callable[[str], bool], start: Root | None = None) -> Iterator[Path]:
    """Yield every file with a matching name at or below a path, folders in order of name."""
    for folder in walk(root, wanted, start=start):
        yield from (Path(folder.path, name) for name in folder.files)


def walk(root: Path, wanted: Callable[[str], bool] = is_manifest, *, start: Root | None = None) -> Iterator[Folder]:
    """Yield every folder at or below a path, in order of name, each with its matching files.

    The walk yields a folder that vanishes or cannot be read as an empty one; the next walk tries it again.

    Args:
        root: a folder or a file.
        wanted: whether a file of this name matches.
        start: the folder that the user named, from which `root` is reached without links, or with all of them. Then
            each folder is entered once, however many links lead to it. None for `root` itself.

    """
    batch = batch_around(root)
    if batch is not None and next(old_videos_in(batch), None) is not None:
        yield Folder(str(batch), older=True, within=root, start=start)
        return
    if os.path.isfile(root):  # noqa: PTH113 - Path.is_file raises if permission is denied
        yield Folder(str(root.parent), [root.name] if wanted(root.name) else [])
        return
    start = start or Root(root)
    try:
        opened = start.folder(root)
    except OSError as error:
        is_link = os.path.islink(root)  # noqa: PTH114 - Path.is_symlink raises if permission is denied
        if is_link and _is_another_folder(root, str(root.parent), start.path):
            yield Folder(str(root.parent), linked=[root.name])
        else:
            yield Folder(str(root), closed=_why_closed(error))
        return
    excluded = start.excluded.inside(root.relative_to(start.path)) if start.excluded else NOTHING
    with opened, _Trail(opened) as trail:
        pending, links, entered = [""], list[str](), set[Identity]()
        while pending or links:
            # Links come last, so that a folder is found under its own path if it is below the root.
            folder, inside = _scan(trail, pending.pop() if pending else links.pop(0), wanted, entered, excluded)
            below = folder.path[len(str(root)) + 1 :]
            pending.extend(os.path.join(below, name) for name in reversed(inside))  # noqa: PTH118 - Path takes 10 x
            if start.links is Links.ALL:
                links.extend(os.path.join(below, name) for name in folder.linked)  # noqa: PTH118 - see above
                folder.linked = []
            folder.start = start
            yield folder


def not_followed(linked: Sequence[Path]) -> str:
    """Return what to say about links to folders that a walk did not enter."""
    named = ", ".join(printable(str(path)) for path in linked[:_MOST_NAMED])
    more = f" and {len(linked) - _MOST_NAMED:,} more" if len(linked) > _MOST_NAMED else ""
    many = len(linked) > 1
    about = f"{len(linked):,} linked folder{'s are' if many else ' is'} not followed: {named}{more}"
    return f"{about}; --follow-links follows {'them' if many else 'it'}"


def manifest_of(path: Path) -> Path:
    """Return the manifest beside a video, or the tensor folder of an older video; any other path is returned as is."""
    beside = path.with_name(path.stem + MANIFEST_SUFFIX)
    if beside.exists():
        return beside
    old = tensors_of(path.absolute()) if is_old_name(path.name) else None
    return path if old is None else old.tensors


def place_to_look(path: Path, *, is_directory: bool) -> Path | None:
    """Return the path to scan after a file or folder has appeared; None if it cannot complete a video.

    In older batches only folders, summaries and videos count: other files appear too often to follow.
    """
    if is_directory:
        old = old_video_around(path)
        return path if old is None else old.tensors
    if is_manifest(path.name) or is_old_name(path.name):
        return path
    # The end of a batch makes its collection due.
    return path.parent if path.name in (SUMMARY_FILE, BATCH_COMPLETE_FILE) else None


def _is_left_out(tensors: Path, folder: Folder) -> bool:
    start = folder.start
    if start is None or not start.excluded or not tensors.is_relative_to(start.path):
        return False
    return start.excluded.covers(str(tensors.relative_to(start.path)))


class _Trail:
    """The folders that a walk has just passed, still open. The next one is near; from the root, the way may be long.

    A context manager that closes them.
    """

    def __init__(self, root: OpenFolder) -> None:
        self.root = root
        self._passed: deque[tuple[str, OpenFolder]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        while self._passed:
            self._passed.pop()[1].close()

    def enter(self, name: str) -> OpenFolder:
        """Return a folder by its path below the root, open until the walk is far enough away."""
        while self._passed and not name.startswith(f"{self._passed[-1][0]}/"):
            self._passed.pop()[1].close()
        above, near = self._passed[-1] if self._passed else ("", self.root)
        opened = near.folder(name[len(above) :].lstrip("/") or ".")
        self._passed.append((name, opened))
        if len(self._passed) > _MOST_OPEN:
            self._passed.popleft()[1].close()
        return opened


def _scan(
    trail: _Trail, name: str, wanted: Callable[[str], bool], entered: set[Identity], excluded: Exclusion
) -> tuple[Folder, list[str]]:
    """Return a folder below the root of a walk, and the names of the folders inside it to enter next."""
    root = trail.root
    path = os.path.join(root.path, name) if name else str(root.path)  # noqa: PTH118 - Path takes 10 x
    folder, inside, exported = Folder(path), [], list[str]()
    try:
        opened = trail.enter(name)
        with opened.scan() as entries:
            if root.links is Links.ALL and _again(opened.identity, entered):
                return folder, []
            for entry in shown(entries, name, excluded, folder.excluded):
                if not entry.is_dir(follow_symlinks=False):
                    _note_file(entry, folder, wanted, root.path)
                    if entry.name.endswith(EXPORT_SUFFIX):
                        exported.append(export_prefix(entry.name.removesuffix(EXPORT_SUFFIX)))
                    continue
                folder.folders += 1
                if entry.name not in NOT_ENTERED:
                    inside.append(entry.name)
                elif entry.name == TENSOR_DIRECTORY:
                    folder.older = True
    except OSError as error:
        return Folder(path, closed=_why_closed(error)), []
    folder.files.sort()
    folder.linked.sort()
    if folder.unmarked:
        marked = {name.removesuffix(MANIFEST_SUFFIX) for name in (*folder.files, *folder.excluded)}
        unmarked = [name for name in folder.unmarked if name[: name.rfind(".")] not in marked]
        folder.unmarked = [name for name in unmarked if not name.startswith(tuple(exported))]
    folder.older = folder.older and not folder.files  # tensors beside a manifest belong to it
    return folder, sorted(inside)


def _note_file(entry: os.DirEntry[str], folder: Folder, wanted: Callable[[str], bool], root: Path) -> None:
    name = entry.name
    if wanted(name):
        folder.files.append(name)
    elif name == BATCH_FILE:
        folder.is_batch = True
    elif name[name.rfind(".") :].lower() in _VIDEOS:
        folder.unmarked.append(name)
    elif entry.is_symlink() and _is_another_folder(entry, folder.path, root):
        folder.linked.append(name)


def _is_another_folder(link: os.DirEntry[str] | Path, folder: str, root: Path) -> bool:
    """Return whether a link leads to a folder that a walk of the root does not enter anyway."""
    if link.name in NOT_ENTERED:
        return False
    try:
        if not link.is_dir():
            return False
    except OSError:  # a link to itself, or to where nobody may look: no reason to leave out the folder that it is in
        return False
    real = os.path.realpath(os.path.join(folder, link.name))  # noqa: PTH118 - beside os.path.realpath
    return not is_searched(Path(real), Path(os.path.realpath(root)))


def _why_closed(error: OSError) -> str | None:
    return None if isinstance(error, FileNotFoundError | NotADirectoryError) else error.strerror or str(error)


def _again(identity: Identity, entered: set[Identity]) -> bool:
    """Return whether a folder was entered before; note that it is now."""
    if identity in entered:
        return True
    entered.add(identity)
    return False
