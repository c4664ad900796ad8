"""Resolves paths and names given on the command line."""

import re
from pathlib import Path

from attnwatch.batches.discover import manifest_of
from attnwatch.contract.names import MANIFEST_SUFFIX, is_manifest
from attnwatch.errors import ConfigError

BATCH_FOLDER = Path("outputs")


def named(path: Path) -> Path:
    """Return the path itself, the manifest if it is a video, or else the newest batch of that name.

    Raises:
        ConfigError: neither a path nor a batch has this name.

    """
    if path.exists():
        return manifest_of(path) if path.is_file() else path
    stamped = re.compile(rf"{re.escape(str(path))}(_\d{{8}}_\d{{6}})?")
    batches = sorted(folder for folder in BATCH_FOLDER.glob("*") if stamped.fullmatch(folder.name))
    if not batches:
        raise ConfigError(
            f"found nothing at {path}, and no batch of that name in {BATCH_FOLDER}/; expected a video, a folder or "
            "the name of a batch"
        )
    return batches[-1]


def root_of(path: Path) -> Path:
    """Return the absolute path of a folder or of a manifest.

    Raises:
        ConfigError: the path is a file other than a manifest, or the root of the file system.

    """
    if path.is_file() and not is_manifest(path.name):
        beside = path.stem + MANIFEST_SUFFIX
        raise ConfigError(f"found no manifest for {path}; expected {beside} beside it; FORMAT.md describes its content")
    return _part_of_the_system(path)


def folder(path: Path) -> Path:
    """Return the absolute path of a folder, or of the newest batch of that name.

    Raises:
        ConfigError: the path is a file or the root of the file system, or neither a path nor a batch has this name.

    """
    found = named(path)
    if not found.is_dir():
        raise ConfigError(f"found the file {path}; expected a folder of videos; check the path")
    return _part_of_the_system(found)


def _part_of_the_system(path: Path) -> Path:
    """Return the absolute path; refuse the root of the file system, where devices and the kernel's own files are."""
    if path.resolve() == Path("/"):
        raise ConfigError(f"found {path}, the whole file system; expected the folder that the videos are written to")
    return path.absolute()
