"""What there should be a receipt for: each video beside itself, and once more in the collection of its batch."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from attnwatch.discover import Folder, find_videos, videos_in, walk
from attnwatch.legacy.layouts import batch_around
from attnwatch.manifest import stamp_of
from attnwatch.names import BATCH_COMPLETE_FILE, is_manifest

_LEVELS = 3  # <batch>/videos/<prompt>/<manifest>


@dataclass(frozen=True, order=True)
class Target:
    """One rendering of one video.

    Attributes:
        manifest: of the video; in an older batch, the folder of its tensors.
        batch: folder of the batch whose collection it belongs to; None for the rendering beside the video.

    """

    manifest: Path
    batch: Path | None = None


def find_targets(root: Path, *, collect: bool = False) -> Iterator[Target]:
    """Yield the targets at or below a path: the videos, and the collections of the batches that have ended.

    Args:
        root: a folder or a manifest.
        collect: yield collections only, and take the root for a batch that has ended.

    """
    for folder in walk(root):
        yield from targets_in(folder, root if collect else None)


def targets_in(folder: Folder, collected: Path | None = None) -> Iterator[Target]:
    """Yield the targets whose manifests lie in a folder.

    Args:
        folder: one of a walk.
        collected: the batch whose collection alone is meant; None for the videos, and for the collection of their
            batch if it has ended.

    """
    manifests = videos_in(folder)
    batch = collected or (ended_batch(manifests[0]) if manifests else None)
    for manifest in manifests:
        if collected is None:
            yield Target(manifest)
        if batch is not None:
            yield Target(manifest, batch)


def ended_batch(manifest: Path) -> Path | None:
    """Return the folder of the batch that a manifest belongs to, if that batch has ended."""
    for folder in manifest.parents[:_LEVELS]:
        # Not Path.exists, which raises where it may not look.
        if os.path.exists(folder / BATCH_COMPLETE_FILE):  # noqa: PTH110
            return folder if folder != manifest.parent else None  # a flat batch is its own collection
    return None


def home_of_root(root: Path) -> Path:
    """Return the folder below which the outputs of a root go: itself, or where the video that it is has its own."""
    return batch_around(root) or (root.parent if is_manifest(root.name) else root)


def batch_names(manifest: Path) -> list[str]:
    """Return the names that the batch of a video may have: those of the folders that it may be."""
    return [folder.name for folder in manifest.parents[:_LEVELS]]


def ending_sha256(batch: Path) -> str:
    """Return the digest of how a batch ended, or of its manifests if it has not: it changes when videos are added."""
    try:
        return hashlib.sha256((batch / BATCH_COMPLETE_FILE).read_bytes()).hexdigest()
    except OSError:
        pass
    digest = hashlib.sha256()
    for manifest in find_videos(batch):
        with contextlib.suppress(OSError):
            digest.update(f"{manifest.relative_to(batch)}\0{manifest.stat().st_size}\0".encode(errors="replace"))
            digest.update(manifest.read_bytes() if manifest.is_file() else str(stamp_of(manifest)).encode())
    return digest.hexdigest()
