"""Finds out which videos of a batch are complete: what a manifest lists must be on disk, and whole.

Sizes are always compared. Digests cost a pass over all files, so they are compared only for files that are newer than
their manifest, which is written last, or on request. Files that were removed after `attnwatch` had rendered their video
are not missed, because the outputs stay valid without them (FORMAT.md, "When a video is rendered").
"""

import hashlib
import logging
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from generator.batch.plan import PlannedVideo
from generator.batch.reading import read_object
from generator.errors import DocumentError, ResumeError
from generator.outputs.files import fingerprint

log = logging.getLogger(__name__)

_RECEIPT = "attention_videos/{}.rendered.json"


def missing_videos(folder: Path, videos: Iterable[PlannedVideo], *, verify: bool = False) -> list[PlannedVideo]:
    """Return the videos of a batch that have to be made; log why if they were made before.

    Args:
        folder: the folder of the batch
        videos: all videos of its plan
        verify: compare the digest of every file

    Raises:
        ResumeError: if a folder of the batch is a link, or something other than a file is in a manifest's place.

    """
    missing = []
    for video in videos:
        refuse_links(folder, video)
        if not is_begun(folder, video):
            missing.append(video)
        elif (reason := defect(folder, video, verify=verify)) is not None:
            log.warning("%s is made again: %s", video.video_id, reason)
            missing.append(video)
    return missing


def is_begun(folder: Path, video: PlannedVideo) -> bool:
    """Return whether a video has a manifest, complete or not.

    Raises:
        ResumeError: if something other than a file is in its place.

    """
    path = folder / video.manifest
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise ResumeError(
            f"{path}: found something other than a file; expected the manifest of a video. Remove it, or move it "
            "elsewhere, and resume again"
        )
    return True


def is_complete(folder: Path, video: PlannedVideo) -> bool:
    """Return whether a video has a manifest, and all that it lists is on disk in the listed sizes."""
    return is_begun(folder, video) and defect(folder, video) is None


def defect(folder: Path, video: PlannedVideo, *, verify: bool = False) -> str | None:
    """Return what is wrong with the manifest of a video, or with a file that it lists; None if nothing is.

    Args:
        folder: the folder of the batch
        video: a video that has a manifest
        verify: compare the digest of every file, not only of those that are newer than the manifest

    """
    path = folder / video.manifest
    try:
        written = path.stat().st_mtime_ns
        document = read_object(path)
        for name, record in _records(document, video).items():
            reason = _file_defect(path, name, record, video, newest=None if verify else written)
            if reason is not None:
                return reason
    except (DocumentError, OSError) as error:
        return str(error)
    return None


def _records(document: Mapping[str, Any], video: PlannedVideo) -> dict[str, dict[str, Any]]:
    """Return the size and the digest of each file that a manifest lists, by relative path.

    Raises:
        DocumentError: if it is not the manifest of this video, or does not list its files.

    """
    name, attention, files = (document.get(key) for key in ("video", "attention", "files"))
    if (name, document.get("video_id")) != (f"{video.stem}.mp4", video.video_id):
        raise DocumentError(f"{video.manifest}: expected the manifest of {video.video_id}; found another document")
    if not isinstance(attention, list) or not isinstance(files, dict):
        raise DocumentError(f"{video.manifest}: expected `attention` and `files`; found no list of files")
    records = {str(path): files.get(str(path)) for path in (name, *attention)}
    for path, record in records.items():
        if not _is_below(path) or not isinstance(record, dict) or not {"bytes", "sha256"} <= record.keys():
            raise DocumentError(f"{video.manifest}: expected the size and the digest of {path!r}; found {record!r}")
    return {path: record for path, record in records.items() if isinstance(record, dict)}


def _is_below(path: str) -> bool:
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts and "\0" not in path


def _file_defect(
    manifest: Path, name: str, record: Mapping[str, Any], video: PlannedVideo, newest: int | None
) -> str | None:
    """Return what is wrong with one file; its digest counts if it is newer than `newest`, or if that is None."""
    path = manifest.parent / name
    try:
        status = path.stat()
    except FileNotFoundError:
        return None if _is_rendered(manifest, video) else f"{path}: found nothing; expected {record['bytes']:,} bytes"
    if not stat.S_ISREG(status.st_mode):
        return f"{path}: found something other than a file"
    if status.st_size != record["bytes"]:
        return f"{path}: found {status.st_size:,} bytes; expected {record['bytes']} bytes"
    if (newest is None or status.st_mtime_ns > newest) and fingerprint(path)["sha256"] != record["sha256"]:
        return f"{path}: found other content than was written; expected SHA-256 {record['sha256']}"
    return None


def _is_rendered(manifest: Path, video: PlannedVideo) -> bool:
    """Return whether `attnwatch` has rendered the video as its manifest describes it now."""
    try:
        receipt = read_object(manifest.parent / _RECEIPT.format(video.video_id))
        digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    except (DocumentError, OSError):
        return False
    return receipt.get("status") == "rendered" and receipt.get("manifest_sha256") == digest


def refuse_links(folder: Path, video: PlannedVideo) -> None:
    """Refuse to write, or to remove files, through a link inside of the batch.

    Raises:
        ResumeError: naming the link.

    """
    place = (folder / video.manifest).parent
    for path in (place.parent, place, place / "attention_maps"):
        if path.is_symlink():
            raise ResumeError(
                f"{path} is a link to {path.readlink()}; expected a folder of this batch, because files outside of it "
                "would be replaced. Put the folder itself in its place, or start a new batch"
            )
