"""Files that a user takes for the right ones, although their manifest lists them with another size or digest.

Somebody has edited the metadata of a video, for example. The manifest belongs to whoever generated the video, so an
acceptance is a document of its own, beside the receipt. It counts for one manifest only: when the video is generated
again, the new files are expected.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from attnwatch.contract.documents import AcceptanceDocument, FileRecord
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.names import ACCEPTANCE_SUFFIX
from attnwatch.contract.reading import read_document
from attnwatch.contract.receipts import Place
from attnwatch.errors import ManifestError
from attnwatch.system.folders import Folder
from attnwatch.system.roots import Root


def with_acceptance(manifest: Manifest, place: Place | None = None) -> Manifest:
    """Return a manifest with the files that were accepted for it.

    Args:
        manifest: a manifest.
        place: of the video's receipt; None for beside the video.

    """
    if not manifest.document.files:
        return manifest
    beside = Place(manifest.path, manifest.video_id, manifest.output_directory, root=manifest.outputs_root)
    return replace(manifest, accepted=_accepted(manifest, place or beside))


def _accepted(manifest: Manifest, place: Place) -> Mapping[str, FileRecord]:
    """Return what was accepted; nothing if the document is damaged, since that says nothing about the files."""
    path = place.directory / f"{place.video_id}{ACCEPTANCE_SUFFIX}"
    if not os.path.lexists(path):  # much faster than opening the folder, for nearly all videos
        return {}
    try:
        document, _ = read_document(path, AcceptanceDocument, root=place.root or Root(place.directory.parent))
    except (ManifestError, OSError):
        return {}
    is_ours = document.video_id == place.video_id and document.manifest_sha256 == manifest.sha256
    return document.files if is_ours else {}


def changed_files(manifest: Manifest) -> dict[str, FileRecord]:
    """Read the files that a manifest lists, and return those that are not as listed; absent ones are left out.

    Raises:
        NotReadyError: a file was changed meanwhile.
        OSError: it cannot be read.

    """
    changed = {}
    for name, size in manifest.inputs().items():
        listed = manifest.document.files.get(name)
        if listed is None or size is None:
            continue
        present = FileRecord(bytes=size, sha256=manifest.digest(name))
        if present != listed:
            changed[name] = present
    return changed


def write_acceptance(manifest: Manifest, files: Mapping[str, FileRecord], folder: Folder) -> None:
    """Accept files as they are.

    Args:
        manifest: manifest that lists them.
        files: their present sizes and digests, by path.
        folder: of the receipt; the caller holds the video's lock.

    """
    at = datetime.now(UTC).isoformat(timespec="seconds")
    document = AcceptanceDocument(
        video_id=manifest.video_id, manifest_sha256=manifest.sha256, accepted=at, files=dict(files)
    )
    folder.write(f"{manifest.video_id}{ACCEPTANCE_SUFFIX}", document.model_dump_json(indent=2).encode() + b"\n")
