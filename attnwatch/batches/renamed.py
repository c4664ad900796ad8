"""Recognises videos that were rendered before their folder was renamed.

The default identifier contains the folder's name. The receipt moves along with the outputs and names the manifest and
its digest, so the video keeps the identifier that its outputs have.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from attnwatch.contract.manifest import Manifest
from attnwatch.contract.names import MANIFEST_SUFFIX, RECEIPT_SUFFIX, default_ending, default_video_id, printable
from attnwatch.contract.receipts import Place


def identifier_before(manifest: Manifest) -> str | None:
    """Return the identifier of a video's outputs from before its folder was renamed; None if they have none.

    Args:
        manifest: a manifest without a `video_id`.

    """
    directory = manifest.output_directory.absolute()
    try:
        inode = directory.stat().st_ino
    except OSError:
        return None
    if os.path.lexists(directory / f"{default_video_id(manifest.path)}{RECEIPT_SUFFIX}"):
        return None
    earlier = _earlier(directory, inode).get(default_ending(manifest.path), ())
    return next((video_id for video_id in earlier if _is_receipt_of(manifest, video_id)), None)


def _is_receipt_of(manifest: Manifest, video_id: str) -> bool:
    """Return whether the receipt of an identifier is about this manifest and its files; removed ones do not count."""
    receipt = Place(manifest.path, video_id, manifest.output_directory).read()
    if receipt is None or receipt.manifest_sha256 != manifest.sha256:
        return False
    same_name = receipt.manifest == printable(manifest.path.name)
    return same_name and all(size in (None, receipt.inputs.get(name)) for name, size in manifest.inputs().items())


@lru_cache(maxsize=64)
def _earlier(directory: Path, _inode: int) -> Mapping[str, tuple[str, ...]]:
    """Return the identifiers in a folder of outputs that no manifest beside it has by default, by possible ending.

    Receipts from before a renaming are there when the folder is first looked at, so it is listed once under each name.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    for video_id in sorted(_identifiers(directory)):
        if not _is_default(video_id, directory.parent):
            starts = (place for place, character in enumerate(video_id) if character == "_")
            for start in starts:
                found[video_id[start:]].append(video_id)
    return {ending: tuple(identifiers) for ending, identifiers in found.items()}


def _identifiers(directory: Path) -> Iterator[str]:
    try:
        names = os.listdir(directory)  # noqa: PTH208 - a Path per file costs more than the listing
    except OSError:
        return
    for name in names:
        if name.endswith(RECEIPT_SUFFIX) and not name.startswith("."):
            yield name.removesuffix(RECEIPT_SUFFIX)


def _is_default(video_id: str, folder: Path) -> bool:
    """Return whether a manifest in a folder has an identifier by default."""
    own = video_id.removeprefix(f"{folder.name}_")
    stems = (own, f"video_{own.removeprefix('vid')}")
    manifests = (folder / f"{stem}{MANIFEST_SUFFIX}" for stem in stems)
    return any(default_video_id(path) == video_id and os.path.lexists(path) for path in manifests)
