"""Which files and folders a search for videos looks at."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from attnwatch.batches.legacy.layouts import old_video_around
from attnwatch.contract.names import OUTPUT_DIRECTORY, TENSOR_DIRECTORY
from attnwatch.system.exclusion import NOTHING, Exclusion

# What was deleted, or is kept by the system: Windows, ext4, and the shares of Synology and QNAP. Windows is not
# consistent in the case of its own. Names that begin with a dot, such as `.Trash-1000` and `.snapshot`, are hidden.
_OF_THE_SYSTEM = frozenset(
    name.casefold()
    for name in (
        *("$RECYCLE.BIN", "RECYCLER", "System Volume Information", "lost+found"),
        *("#recycle", "#snapshot", "@eaDir", "@tmp", "@Recycle", "@Recently-Snapshot"),
    )
)
NOT_ENTERED = frozenset({OUTPUT_DIRECTORY, TENSOR_DIRECTORY})
"""Folders of the contract in which there are no manifests."""


def is_searched(path: Path, root: Path, excluded: Exclusion = NOTHING) -> bool:
    """Return whether a walk of the root would reach a path."""
    old = old_video_around(path)
    if old is not None:
        return is_searched(old.batch, root, excluded) or path.is_relative_to(root)
    if not path.is_relative_to(root):
        return False
    below = path.relative_to(root)
    if excluded.covers(str(below)):
        return False
    return not any(part.startswith(".") or part in NOT_ENTERED or is_of_the_system(part) for part in below.parts)


def is_left_out(folder: str, roots: Iterable[str], excluded: Exclusion) -> bool:
    """Return whether a walk would not enter a folder although it enters the one above; not asked about tensors."""
    name = folder.rpartition("/")[2]
    if name.startswith(".") or is_of_the_system(name):
        return True
    inside = (folder[len(root) + 1 :] for root in roots if folder.startswith(f"{root}/")) if excluded else ()
    return any(map(excluded.matches, inside))


def is_of_the_system(name: str) -> bool:
    """Return whether a folder of this name is a recycle bin, or belongs to the system; it is left alone."""
    return name.casefold() in _OF_THE_SYSTEM


def shown(
    entries: Iterable[os.DirEntry[str]], folder: str, excluded: Exclusion, noted: list[str]
) -> Iterator[os.DirEntry[str]]:
    """Yield the entries of a folder that are not left out.

    Args:
        entries: the entries.
        folder: path of the folder below the root of a walk.
        excluded: what the user leaves out.
        noted: takes the names of what the user leaves out.

    """
    for entry in entries:
        if entry.name.startswith(".") or is_of_the_system(entry.name):
            continue
        if not excluded or not excluded.matches(f"{folder}/{entry.name}" if folder else entry.name):
            yield entry
        else:
            noted.append(entry.name)
