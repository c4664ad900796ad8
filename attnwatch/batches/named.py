"""Finds the batch that a user calls by its name."""

import os
import re
from pathlib import Path

from attnwatch.batches.discover import manifest_of
from attnwatch.errors import ConfigError, nearest

BATCH_FOLDER = Path("outputs")
"""Where the generator puts batches, and users look for them."""

_STAMP = re.compile(r"_\d{8}_\d{6}$")
ALIKE = 0.7
"""Similarity, as of difflib, of what was given and what may have been meant."""


def named(path: Path) -> Path:
    """Return the path itself, the manifest if it is a video, or else the newest batch of that name.

    Batches are looked for in `outputs` and in the current folder, or in the folder that the path names. Their names may
    lack the date and the time.

    Raises:
        ConfigError: neither a path nor a batch has this name.

    """
    if exists(path):
        return manifest_of(path) if path.is_file() else path
    if (batch := newest_batch(path)) is not None:
        return batch
    names = {name for folder in _folders_beside(path) for name in (folder.name, _STAMP.sub("", folder.name))}
    near = nearest(path.name, sorted(names), cutoff=ALIKE)
    hint = f"did you mean {path.parent / near[0]}?" if near else "check the name"
    where = " or ".join("the current folder" if place == Path() else f"{place}/" for place in _places(path))
    raise ConfigError(
        f"found nothing at {path}, and no batch of that name in {where}; expected a video, a folder or the name of "
        f"a batch; {hint}"
    )


def newest_batch(path: Path) -> Path | None:
    """Return the newest batch that is called so, as `named` looks for it; None if there is none."""
    batches = [each for each in _folders_beside(path) if path.name in (each.name, _STAMP.sub("", each.name))]
    return max(batches, key=lambda folder: folder.name, default=None)


def _folders_beside(path: Path) -> list[Path]:
    """Return the folders that may be the batch that is called so."""
    return [folder for place in _places(path) for folder in map(place.joinpath, folders_in(place))]


def _places(path: Path) -> tuple[Path, ...]:
    """Return where a batch that is called so is looked for."""
    return (BATCH_FOLDER, Path()) if path.name == str(path) else (path.parent,)


def exists(path: Path) -> bool:
    """Whether something has this path."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises if permission is denied, or a name is too long


def folders_in(path: Path) -> list[str]:
    """Return the names of the folders in a folder; none if it cannot be read."""
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except OSError:
        return []
