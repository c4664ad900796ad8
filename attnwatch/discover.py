"""One walk of a folder -> the manifests below it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from attnwatch.manifest import OUTPUT_DIRECTORY, TENSOR_DIRECTORY
from attnwatch.names import MANIFEST_SUFFIX, is_manifest

_NOT_ENTERED = frozenset({OUTPUT_DIRECTORY, TENSOR_DIRECTORY})


@dataclass
class Folder:
    """One folder on a walk.

    Attributes:
        path: of the folder.
        files: names of the files that are wanted, sorted.
        folders: number of folders directly inside, also of those that are not entered.

    """

    path: str
    files: list[str] = field(default_factory=list)
    folders: int = 0


def find_manifests(root: Path) -> Iterator[Path]:
    """Yield every manifest at or below a path, folders in the order of their names."""
    return find_files(root, is_manifest)


def find_files(root: Path, wanted: Callable[[str], bool]) -> Iterator[Path]:
    """Yield every file of a wanted name at or below a path, folders in the order of their names."""
    for folder in walk(root, wanted):
        yield from (Path(folder.path, name) for name in folder.files)


def walk(root: Path, wanted: Callable[[str], bool] = is_manifest) -> Iterator[Folder]:
    """Yield every folder at or below a path, in the order of their names, with its files of a wanted name.

    Folders that vanish or cannot be read during the walk are passed over: the next walk sees what is there then.
    Links to folders are not followed, so a walk ends.
    """
    if os.path.isfile(root):  # noqa: PTH113 - Path's raises where it may not look
        yield Folder(str(root.parent), [root.name] if wanted(root.name) else [])
        return
    pending = [str(root)]
    while pending:
        folder, inside = _look_into(pending.pop(), wanted)
        yield folder
        pending.extend(os.path.join(folder.path, name) for name in reversed(inside))  # noqa: PTH118 - Path costs 10 x


def manifest_of(path: Path) -> Path:
    """Return the manifest that stands beside a video; any other file stands for itself."""
    beside = path.with_name(path.stem + MANIFEST_SUFFIX)
    return beside if beside.exists() else path


def is_searched(path: Path, root: Path) -> bool:
    """Tell whether a walk of the root would come to a path."""
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
                elif wanted(entry.name):
                    folder.files.append(entry.name)
    except OSError:
        return Folder(path), []
    folder.files.sort()
    return folder, sorted(inside)
