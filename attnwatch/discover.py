"""One walk of a folder -> the manifests below it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from attnwatch.manifest import OUTPUT_DIRECTORY, TENSOR_DIRECTORY
from attnwatch.names import MANIFEST_SUFFIX, is_manifest

_NOT_ENTERED = frozenset({OUTPUT_DIRECTORY, TENSOR_DIRECTORY})


def find_manifests(root: Path) -> Iterator[Path]:
    """Yield every manifest at or below a path, folders in the order of their names."""
    return find_files(root, is_manifest)


def find_files(root: Path, wanted: Callable[[str], bool]) -> Iterator[Path]:
    """Yield every file of a wanted name at or below a path, folders in the order of their names.

    Folders that vanish or cannot be read during the walk are passed over: the next walk sees what is there then.
    Links to folders are not followed, so a walk ends.
    """
    if os.path.isfile(root):  # noqa: PTH113 - Path's raises where it may not look
        if wanted(root.name):
            yield root
        return
    pending = [str(root)]
    while pending:
        folder = pending.pop()
        files, folders = _entries(folder, wanted)
        yield from (Path(folder, name) for name in files)
        pending.extend(os.path.join(folder, name) for name in reversed(folders))  # noqa: PTH118 - Path costs 10 x


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


def _entries(folder: str, wanted: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _NOT_ENTERED:
                        folders.append(entry.name)
                elif wanted(entry.name):
                    files.append(entry.name)
    except OSError:
        return [], []
    return sorted(files), sorted(folders)
