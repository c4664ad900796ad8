"""One finished video, whichever way it was written: with a manifest, or as in older batches. Only here is asked."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from attnwatch.batches.legacy.layouts import old_video
from attnwatch.batches.legacy.pairing import manifest_beside, pair
from attnwatch.batches.legacy.video import read_old_video
from attnwatch.contract.manifest import OUTPUT_DIRECTORY, Manifest, read_manifest
from attnwatch.contract.names import default_video_id, is_manifest

if TYPE_CHECKING:
    from attnwatch.tensors.reader import AttentionReader


def read_video(path: Path) -> Manifest:
    """Read a manifest, or what stands for one: the folder of a video's tensors in an older batch.

    Raises:
        ManifestError: the manifest breaks the contract, or the older batch cannot be read as it is.
        OSError: it cannot be read.

    """
    old = None if is_manifest(path.name) else old_video(path)
    return read_manifest(path) if old is None else read_old_video(old)


def stands_for_video(path: Path) -> bool:
    """Tell whether a path is there, and stands for a video; older tensors do not any more once there is a manifest."""
    old = None if is_manifest(path.name) else old_video(path)
    return os.path.exists(path) and (old is None or not os.path.exists(manifest_beside(old)))  # noqa: PTH110 - may raise


def open_attention(manifest: Manifest) -> "AttentionReader":
    """Open the tensors of a video.

    Raises:
        TensorError: a file is damaged, or not what it should be.
        VideoError: an older batch's video has to be looked at, and cannot be read.
        OSError: a file cannot be read.

    """
    # Here, so that whoever only reads manifests does without numpy and av.
    from attnwatch.batches.legacy.reader import OldReader  # noqa: PLC0415
    from attnwatch.tensors.reader import AttentionReader  # noqa: PLC0415

    is_old = any(path.is_dir() for path in manifest.attention)
    return OldReader(manifest) if is_old else AttentionReader(manifest)


def outputs_of(path: Path) -> tuple[str, Path]:
    """Return the identifier and the folder of outputs that a video has by its path alone, when it cannot be read."""
    old = None if is_manifest(path.name) else old_video(path)
    if old is None:
        return default_video_id(path), path.parent / OUTPUT_DIRECTORY
    pairing = pair(old)
    return pairing.video_id, (old.batch / pairing.name).parent / OUTPUT_DIRECTORY


def home_of(path: Path) -> Path:
    """Return the folder that a video's paths start from: the manifest's, or that of the older batch."""
    old = None if is_manifest(path.name) else old_video(path)
    return path.parent if old is None else old.batch
