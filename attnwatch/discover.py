"""One walk of a folder -> the manifests below it."""

import os
from collections.abc import Iterator
from pathlib import Path

from attnwatch.manifest import OUTPUT_DIRECTORY, TENSOR_DIRECTORY
from attnwatch.names import is_manifest

_NOT_ENTERED = frozenset({OUTPUT_DIRECTORY, TENSOR_DIRECTORY})


def find_manifests(root: Path) -> Iterator[Path]:
    """Yield every manifest at or below a path, folders in the order of their names.

    Folders that vanish or cannot be read during the walk are passed over: the next walk sees what is there then.
    Links to folders are not followed, so a walk ends.
    """
    if root.is_file():
        if is_manifest(root.name):
            yield root
        return
    pending = [str(root)]
    while pending:
        folder = pending.pop()
        files, folders = _entries(folder)
        yield from (Path(folder, name) for name in files)
        pending.extend(os.path.join(folder, name) for name in reversed(folders))  # noqa: PTH118 - Path costs 10 x


def _entries(folder: str) -> tuple[list[str], list[str]]:
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _NOT_ENTERED:
                        folders.append(entry.name)
                elif is_manifest(entry.name):
                    files.append(entry.name)
    except OSError:
        return [], []
    return sorted(files), sorted(folders)
