"""Lists what to render: each video's own outputs, and its share of the collection of a batch that has ended."""

import contextlib
import hashlib
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnwatch.batches.discover import Folder, find_videos, videos_in, walk
from attnwatch.batches.legacy.layouts import batch_around
from attnwatch.contract.names import BATCH_COMPLETE_FILE, BATCH_FILE, is_manifest
from attnwatch.contract.reading import read_bytes
from attnwatch.contract.stamps import stamp_of
from attnwatch.errors import ConfigError, ManifestError
from attnwatch.system.folders import Identity
from attnwatch.system.roots import Root

_VIDEOS = "videos"
_LEVELS = 3  # <batch>/videos/<prompt>/<manifest>


@dataclass(frozen=True, order=True)
class Target:
    """One rendering of one video; each has its own receipt.

    Attributes:
        manifest: manifest of the video; in an older batch, its tensor folder.
        batch: folder of the batch whose collection the rendering belongs to; None for the rendering beside the video.

    """

    manifest: Path
    batch: Path | None = None


def find_targets(root: Path, *, collect: bool = False, start: Root | None = None) -> Iterator[Target]:
    """Yield the targets at or below a path: each video, and its share of the collection if its batch has ended.

    Args:
        root: a folder or a manifest.
        collect: yield only collections, and treat the root as a batch that has ended.
        start: where the root is looked up from; see `attnwatch.batches.discover.walk`.

    """
    for folder in walk(root, start=start):
        yield from targets_in(folder, [root], root if collect else None)


def targets_in(folder: Folder, roots: Sequence[Path], collected: Path | None = None) -> Iterator[Target]:
    """Yield the targets whose manifests are in a folder.

    Args:
        folder: a folder visited by a walk.
        roots: paths that the user named; a batch is collected only if it is one of them or below one.
        collected: yield only the collection of this batch; None for the videos themselves, plus the collection of
            their batch if it has ended.

    """
    manifests = videos_in(folder)
    batch = collected or (ended_batch(manifests[0], roots) if manifests else None)
    for manifest in manifests:
        if collected is None:
            yield Target(manifest)
        if batch is not None:
            yield Target(manifest, batch)


def ended_batch(manifest: Path, roots: Sequence[Path]) -> Path | None:
    """Return the folder of the batch that a manifest belongs to, if the batch has ended and is a root or below one."""
    for folder in manifest.parents[:_LEVELS]:
        # Path.exists would raise if permission is denied.
        if os.path.exists(folder / BATCH_COMPLETE_FILE):  # noqa: PTH110
            flat = folder == manifest.parent  # a flat batch is its own collection
            return folder if not flat and any(map(folder.is_relative_to, roots)) else None
    return None


def home_of_root(root: Path) -> Path:
    """Return the folder that contains all outputs of a root: the root itself, or the home of the video that it names.

    That home is the manifest's folder or, for older tensors, the batch.
    """
    return batch_around(root) or (root.parent if is_manifest(root.name) else root)


def distinct_roots(roots: Sequence[Path]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Split folders into those to watch, and those that are the same as, or inside of, one of them under another path.

    A link, or a second mount, makes one tree look like two. Its videos would have two sets of decisions, and one of
    receipts.
    """
    identities = {root: Identity.at(root) for root in roots}
    kept: list[Path] = []
    for root in roots:
        others = {identities[other] for other in roots if identities[other] != identities[root]}
        inside = others.intersection(map(Identity.at, Path(os.path.realpath(root)).parents))
        same = {identities[other] for other in kept}
        is_alias = identities[root] in same or (inside and not any(root.is_relative_to(o) for o in roots if o != root))
        if identities[root] is None or not is_alias:
            kept.append(root)
    return tuple(dict.fromkeys(kept)), tuple(root for root in dict.fromkeys(roots) if root not in kept)


def _home_above(directory: Path, roots: Sequence[Path]) -> Path:
    home = next((home for home in map(home_of_root, roots) if directory.is_relative_to(home)), None)
    if home is None:
        named = ", ".join(map(str, roots))
        raise ConfigError(
            f"found outputs that belong in {directory}; expected a folder below {named}; name a folder that contains it"
        )
    return home


def outputs_at(directory: Path, roots: Sequence[Path], out: Path | None) -> Path:
    """Return where outputs go: to `directory`, or to its counterpart below `out`.

    Args:
        directory: the output folder beside a video, or that of a batch's collection.
        roots: paths that the user named.
        out: the folder given with `--out`; None without the option.

    Raises:
        ConfigError: `directory` is below none of the roots, so it has no counterpart in `out`.

    """
    if out is None:
        return directory
    home = _home_above(directory, roots)
    return out / (home.name if len(roots) > 1 else "") / directory.relative_to(home)


def require_own_names(roots: Iterable[Path]) -> None:
    """Check that no two roots share a folder below `--out`, where each root gets a folder with its own last name.

    Raises:
        ConfigError: two different roots have the same last name.

    """
    known: dict[str, Path] = {}
    for home in map(home_of_root, roots):
        if (other := known.setdefault(home.name, home)) != home:
            raise ConfigError(
                f"--out: found two folders named {home.name!r}, {other} and {home}; expected different names, because "
                "outputs are grouped by them; run once for each folder, with a different --out"
            )


def retry_command(target: Target, out: Path | None, config: Path | None, *, follow_links: bool = False) -> str:
    """Return the command that renders a target again, whatever its receipt says.

    Args:
        target: the target to render.
        out: value of `--out`; None to leave the option out.
        config: the configuration file; None if there is none.
        follow_links: whether to follow links.

    """
    words = ["attnwatch", *(("collect", target.batch) if target.batch else ("render", target.manifest))]
    words += ["--out", out] if out else []
    words += ["--config", config] if config else []
    words += ["--follow-links"] if follow_links else []
    return f"`{shlex.join(map(str, words))}`"


def batch_of(manifest: Path) -> Path:
    """Return the folder of the batch that a video belongs to: the one with its documents, else as by convention."""
    folders = manifest.parents[:_LEVELS]
    for folder in folders:
        if any(os.path.exists(folder / name) for name in (BATCH_FILE, BATCH_COMPLETE_FILE)):  # noqa: PTH110 - may raise
            return folder
    older = batch_around(manifest)
    if older is not None:
        return older
    return next((folder.parent for folder in folders if folder.name == _VIDEOS), manifest.parent)


def batch_names(manifest: Path) -> list[str]:
    """Return the possible names of a video's batch: those of the folders that may be it."""
    return [folder.name for folder in manifest.parents[:_LEVELS]]


def ending_sha256(batch: Path, root: Root | None = None) -> str:
    """Return a digest that changes when videos are added: of a batch's end marker, or of its manifests without one.

    Args:
        batch: folder of the batch.
        root: the folder that the user named, from which the batch is reached without links; None for the batch.

    """
    start = root or Root(batch)
    with contextlib.suppress(OSError, ManifestError):
        return hashlib.sha256(read_bytes(batch / BATCH_COMPLETE_FILE, root=start)).hexdigest()
    digest = hashlib.sha256()
    for manifest in find_videos(batch, root):
        with contextlib.suppress(OSError, ManifestError):
            digest.update(f"{manifest.relative_to(batch)}\0{manifest.stat().st_size}\0".encode(errors="replace"))
            is_file = is_manifest(manifest.name)
            digest.update(read_bytes(manifest, root=start) if is_file else str(stamp_of(manifest)).encode())
    return digest.hexdigest()
