"""Reads one finished video, with a manifest or from an older batch, into the same `Manifest` and `AttentionReader`."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from attnwatch.batches.legacy.layouts import old_video
from attnwatch.batches.legacy.pairing import manifest_beside, pair
from attnwatch.batches.legacy.video import read_old_video
from attnwatch.batches.renamed import identifier_before
from attnwatch.contract.acceptance import with_acceptance
from attnwatch.contract.manifest import Manifest, read_manifest
from attnwatch.contract.names import OUTPUT_DIRECTORY, default_video_id, is_manifest
from attnwatch.contract.reading import read_document
from attnwatch.errors import ManifestError
from attnwatch.system.roots import Root

if TYPE_CHECKING:
    from attnwatch.tensors.reader import AttentionReader

_TRACKED = re.compile(r"(?<!\\)\(")  # in a template, parentheses mark the words to track


def read_video(path: Path, root: Root | None = None) -> Manifest:
    """Read a manifest, or build one from the tensor folder of an older video.

    Args:
        path: the manifest or tensor folder.
        root: the folder that the user named, from which it is reached without links; None for its own folder, or for
            its older batch.

    Raises:
        ManifestError: the manifest breaks the contract, or the older video cannot be read without conversion.
        OSError: a file or folder cannot be read.

    """
    old = None if is_manifest(path.name) else old_video(path, root)
    if old is not None:
        return read_old_video(old)
    manifest = read_manifest(path, root)
    if manifest.document.video_id is None:
        manifest = replace(manifest, known_as=identifier_before(manifest))
    return with_acceptance(manifest)


def stands_for_video(path: Path) -> bool:
    """Return whether a path exists and identifies a video; a manifest supersedes an older video's tensor folder."""
    old = None if is_manifest(path.name) else old_video(path)
    return os.path.exists(path) and (old is None or not os.path.exists(manifest_beside(old)))  # noqa: PTH110 - may raise


def open_attention(manifest: Manifest) -> "AttentionReader":
    """Open the tensors of a video.

    Raises:
        TensorError: a file is damaged or breaks the contract.
        VideoError: the grid of an older video must be taken from its video file, which cannot be read.
        OSError: a file cannot be read.

    """
    # Imported here because reading manifests alone needs neither numpy nor av.
    from attnwatch.batches.legacy.reader import OldReader  # noqa: PLC0415
    from attnwatch.tensors.reader import AttentionReader  # noqa: PLC0415

    is_old = any(path.is_dir() for path in manifest.attention)
    return OldReader(manifest) if is_old else AttentionReader(manifest)


class _Identity(BaseModel):
    video_id: str | None = None


def identifier_of(path: Path) -> str:
    """Return the name of a video; reading only that field, if it is there, takes a fifth of the time of a manifest."""
    try:
        return read_document(path, _Identity)[0].video_id or read_video(path).video_id
    except (ManifestError, OSError):
        return default_video_id(path)


def why_no_words(manifest: Manifest) -> str:
    """Return why the tensors of a video have no word."""
    document = manifest.document
    if document.attention or not (document.tokens or _TRACKED.search(document.generation.template or "")):
        return "no word was tracked"
    return (
        "words were tracked, but no attention was stored: store_attention and store_aggregated_attention were false; "
        "set one of them to true, and generate again"
    )


def outputs_of(path: Path) -> tuple[str, Path]:
    """Return a video's identifier and output folder as derived from its path alone, for videos that cannot be read."""
    old = None if is_manifest(path.name) else old_video(path)
    if old is None:
        return default_video_id(path), path.parent / OUTPUT_DIRECTORY
    pairing = pair(old)
    return pairing.video_id, (old.batch / pairing.name).parent / OUTPUT_DIRECTORY


def home_of(path: Path) -> Path:
    """Return the folder that a video's relative paths start from: its manifest's folder, or its older batch."""
    old = None if is_manifest(path.name) else old_video(path)
    return path.parent if old is None else old.batch
