"""One walk of a folder -> the manifests below it, and the videos of older batches that have none."""

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
    """One folder on a walk.

    Attributes:
        path: of the folder.
        files: names of the files that are wanted, sorted.
        folders: number of folders directly inside, also of those that are not entered.
        older: there are tensors in it that may be those of an older batch.
        within: only videos at or below this path are meant, where older ones are looked for.

    """

    path: str
    files: list[str] = field(default_factory=list)
    folders: int = 0
    older: bool = False
    within: Path | None = None


def find_manifests(root: Path) -> Iterator[Path]:
    """Yield every manifest at or below a path, folders in the order of their names."""
    return find_files(root, is_manifest)


def find_videos(root: Path) -> Iterator[Path]:
    """Yield what stands for each video at or below a path: its manifest, or its tensors' folder in an older batch."""
    for folder in walk(root):
        yield from videos_in(folder)


def videos_in(folder: Folder) -> list[Path]:
    """Return what stands for each video of a folder of a walk: manifests, then tensors of older videos without one."""
    return [*(Path(folder.path, name) for name in folder.files), *older_videos(folder)]


def older_videos(folder: Folder) -> list[Path]:
    """Return the tensors' folders of an older batch's videos, but for those that have been given a manifest."""
    if not folder.older:
        return []
    alone = None if folder.within is None else old_video(folder.within)
    found = old_videos_in(Path(folder.path)) if alone is None else iter([alone])
    within = folder.within or Path(folder.path)
    meant = (old for old in found if old.tensors.is_relative_to(within))
    return [old.tensors for old in meant if not manifest_beside(old).exists()]


def layout_of(tensors: Path) -> int:
    """Return which of the layouts of older batches a video's tensors have: 1 to 4, or 0 for none of them."""
    old = old_video(tensors)
    return 0 if old is None else old.layout


def find_files(root: Path, wanted: Callable[[str], bool]) -> Iterator[Path]:
    """Yield every file of a wanted name at or below a path, folders in the order of their names."""
    for folder in walk(root, wanted):
        yield from (Path(folder.path, name) for name in folder.files)


def walk(root: Path, wanted: Callable[[str], bool] = is_manifest) -> Iterator[Folder]:
    """Yield every folder at or below a path, in the order of their names, with its files of a wanted name.

    Folders that vanish or cannot be read during the walk are passed over: the next walk sees what is there then.
    Links to folders are not followed, so a walk ends.
    """
    batch = batch_around(root)
    if batch is not None and next(old_videos_in(batch), None) is not None:
        yield Folder(str(batch), older=True, within=root)
        return
    if os.path.isfile(root):  # noqa: PTH113 - Path's raises where it may not look
        yield Folder(str(root.parent), [root.name] if wanted(root.name) else [])
        return
    pending = [str(root)]
    while pending:
        folder, inside = _look_into(pending.pop(), wanted)
        yield folder
        pending.extend(os.path.join(folder.path, name) for name in reversed(inside))  # noqa: PTH118 - Path costs 10 x


def manifest_of(path: Path) -> Path:
    """Return what stands for a video: the manifest beside it, or its tensors; any other file stands for itself."""
    beside = path.with_name(path.stem + MANIFEST_SUFFIX)
    if beside.exists():
        return beside
    old = tensors_of(path.absolute()) if is_old_name(path.name) else None
    return path if old is None else old.tensors


def place_to_look(path: Path, *, is_directory: bool) -> Path | None:
    """Return where to look for videos after a file or a folder has appeared; None where it changes nothing.

    In older batches only folders, summaries and videos count: other files come often, and say nothing.
    """
    if is_directory:
        old = old_video_around(path)
        return path if old is None else old.tensors
    if is_manifest(path.name) or is_old_name(path.name):
        return path
    # A batch that has ended may now have its videos collected.
    return path.parent if path.name in (SUMMARY_FILE, BATCH_COMPLETE_FILE) else None


def is_searched(path: Path, root: Path) -> bool:
    """Tell whether a walk of the root would come to a path."""
    old = old_video_around(path)
    if old is not None:
        return is_searched(old.batch, root) or path.is_relative_to(root)
    if not path.is_relative_to(root):
        return False
    parts = path.relative_to(root).parts
    return not any(part.startswith(".") or part in _NOT_ENTERED for part in parts)


def _look_into(path: str, wanted: Callable[[str], bool]) -> tuple[Folder, list[str]]:
    """Return a folder, and the names of those inside that are to be entered."""
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
    folder.older = folder.older and not folder.files  # beside a manifest, the tensors are those that it names
    return folder, sorted(inside)
