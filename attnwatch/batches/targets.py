"""What there should be a receipt for: each video beside itself, and once more in the collection of its batch."""

import contextlib
import hashlib
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnwatch.batches.discover import Folder, find_videos, videos_in, walk
from attnwatch.batches.legacy.layouts import batch_around
from attnwatch.contract.names import BATCH_COMPLETE_FILE, is_manifest
from attnwatch.contract.stamps import stamp_of
from attnwatch.errors import ConfigError

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
        yield from targets_in(folder, [root], root if collect else None)


def targets_in(folder: Folder, roots: Sequence[Path], collected: Path | None = None) -> Iterator[Target]:
    """Yield the targets whose manifests lie in a folder.

    Args:
        folder: one of a walk.
        roots: what the user named: nothing is collected in a batch that is neither one of them nor below one.
        collected: the batch whose collection alone is meant; None for the videos, and for the collection of their
            batch if it has ended.

    """
    manifests = videos_in(folder)
    batch = collected or (ended_batch(manifests[0], roots) if manifests else None)
    for manifest in manifests:
        if collected is None:
            yield Target(manifest)
        if batch is not None:
            yield Target(manifest, batch)


def ended_batch(manifest: Path, roots: Sequence[Path]) -> Path | None:
    """Return the folder of the batch that a manifest belongs to, if that has ended, and is a root or below one."""
    for folder in manifest.parents[:_LEVELS]:
        # Not Path.exists, which raises where it may not look.
        if os.path.exists(folder / BATCH_COMPLETE_FILE):  # noqa: PTH110
            flat = folder == manifest.parent  # such a batch is its own collection
            return folder if not flat and any(map(folder.is_relative_to, roots)) else None
    return None


def home_of_root(root: Path) -> Path:
    """Return the folder below which the outputs of a root go: itself, or where the video that it is has its own."""
    return batch_around(root) or (root.parent if is_manifest(root.name) else root)


def _home_above(directory: Path, roots: Sequence[Path]) -> Path:
    home = next((home for home in map(home_of_root, roots) if directory.is_relative_to(home)), None)
    if home is None:
        named = ", ".join(map(str, roots))
        raise ConfigError(f"found outputs that belong in {directory}; expected one below {named}; name what holds it")
    return home


def outputs_at(directory: Path, roots: Sequence[Path], out: Path | None) -> Path:
    """Return the folder where outputs go that would lie in `directory` without `--out`.

    Args:
        directory: the folder of outputs beside a video, or of a batch's collection.
        roots: what the user named.
        out: the folder given with `--out`; None if there is none.

    Raises:
        ConfigError: `directory` is below none of the roots, so it has no place in `out`.

    """
    if out is None:
        return directory
    home = _home_above(directory, roots)
    return out / (home.name if len(roots) > 1 else "") / directory.relative_to(home)


def require_own_names(roots: Iterable[Path]) -> None:
    """Tell apart what goes below `--out`, where each of several roots has a folder of its last name.

    Raises:
        ConfigError: two roots would share one.

    """
    known: dict[str, Path] = {}
    for home in map(home_of_root, roots):
        if (other := known.setdefault(home.name, home)) != home:
            raise ConfigError(
                f"--out: found two folders of the name {home.name!r}, {other} and {home}; expected different names, "
                "which their outputs go by; give them one at a time, each with an --out of its own"
            )


def retry_command(target: Target, out: Path | None, config: Path | None) -> str:
    """Return the command that makes a target, whatever its receipt says.

    Args:
        target: what is to be made.
        out: the folder that stands in for its own, if outputs do not go there.
        config: the configuration file, if there is one.

    """
    words = ["attnwatch", *(("collect", target.batch) if target.batch else ("render", target.manifest))]
    words += ["--out", out] if out else []
    words += ["--config", config] if config else []
    return f"`{shlex.join(map(str, words))}`"


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
