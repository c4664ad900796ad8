"""Finds the videos below a folder: by their manifests or, in older batches, by their tensor folders."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from attnwatch.batches.legacy.layouts import (
    SUMMARY_FILE,
    batch_around,
    is_old_name,
    old_video,
    old_video_around,
    old_videos_in,
)
from attnwatch.batches.legacy.pairing import manifest_beside, tensors_of
from attnwatch.contract.manifest import OUTPUT_DIRECTORY, TENSOR_DIRECTORY
from attnwatch.contract.names import BATCH_COMPLETE_FILE, MANIFEST_SUFFIX, is_manifest

_NOT_ENTERED = frozenset({OUTPUT_DIRECTORY, TENSOR_DIRECTORY})


@dataclass
class Folder:
    """One folder visited by a walk.

    Attributes:
        path: path of the folder.
        files: names of the matching files, sorted.
        folders: number of folders directly inside, including those that the walk does not enter.
        older: whether it contains tensors that may belong to an older batch.
        within: limits the older videos of this folder to those at or below this path; None for all of them.

    """

    path: str
    files: list[str] = field(default_factory=list)
    folders: int = 0
    older: bool = False
    within: Path | None = None


def find_manifests(root: Path) -> Iterator[Path]:
    """Yield every manifest at or below a path, folders in order of name."""
    return find_files(root, is_manifest)


def find_videos(root: Path) -> Iterator[Path]:
    """Yield the path that identifies each video at or below a path: its manifest, or an older video's tensor folder."""
    for folder in walk(root):
        yield from videos_in(folder)


def videos_in(folder: Folder) -> list[Path]:
    """Return the videos of a visited folder: manifests first, then the tensor folders of older videos without one."""
    return [*(Path(folder.path, name) for name in folder.files), *older_videos(folder)]


def older_videos(folder: Folder) -> list[Path]:
    """Return the tensor folders of the older videos in a visited folder that have no manifest yet."""
    if not folder.older:
        return []
    only = None if folder.within is None else old_video(folder.within)
    found = old_videos_in(Path(folder.path)) if only is None else iter([only])
    within = folder.within or Path(folder.path)
    selected = (old for old in found if old.tensors.is_relative_to(within))
    return [old.tensors for old in selected if not manifest_beside(old).exists()]


def layout_of(tensors: Path) -> int:
    """Return the number of the older layout that a tensor folder follows, 1 to 4; 0 if it follows none."""
    old = old_video(tensors)
    return 0 if old is None else old.layout


def find_files(root: Path, wanted: Callable[[str], bool]) -> Iterator[Path]:
    """Yield every file with a matching name at or below a path, folders in order of name."""
    for folder in walk(root, wanted):
        yield from (Path(folder.path, name) for name in folder.files)


def walk(root: Path, wanted: Callable[[str], bool] = is_manifest) -> Iterator[Folder]:
    """Yield every folder at or below a path, in order of name, each with its matching files.

    The walk yields a folder that vanishes or cannot be read as an empty one; the next walk tries it again.
    It does not follow links to folders, so it always ends.
    """
    batch = batch_around(root)
    if batch is not None and next(old_videos_in(batch), None) is not None:
        yield Folder(str(batch), older=True, within=root)
        return
    if os.path.isfile(root):  # noqa: PTH113 - Path.is_file raises if permission is denied
        yield Folder(str(root.parent), [root.name] if wanted(root.name) else [])
        return
    pending = [str(root)]
    while pending:
        folder, inside = _scan(pending.pop(), wanted)
        yield folder
        pending.extend(os.path.join(folder.path, name) for name in reversed(inside))  # noqa: PTH118 - Path takes 10 x


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


def is_searched(path: Path, root: Path) -> bool:
    """Return whether a walk of the root would reach a path."""
    old = old_video_around(path)
    if old is not None:
        return is_searched(old.batch, root) or path.is_relative_to(root)
    if not path.is_relative_to(root):
        return False
    parts = path.relative_to(root).parts
    return not any(part.startswith(".") or part in _NOT_ENTERED for part in parts)


def _scan(path: str, wanted: Callable[[str], bool]) -> tuple[Folder, list[str]]:
    """Return a folder and the names of the folders inside it to enter next."""
    folder, inside = Folder(path), []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folder.folders += 1
                    if entry.name not in _NOT_ENTERED:
                        inside.append(entry.name)
                    elif entry.name == TENSOR_DIRECTORY:
                        folder.older = True
                elif wanted(entry.name):
                    folder.files.append(entry.name)
    except OSError:
        return Folder(path), []
    folder.files.sort()
    folder.older = folder.older and not folder.files  # tensors beside a manifest belong to it
    return folder, sorted(inside)
