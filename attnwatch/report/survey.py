"""Walks a folder and tells the state of each video's outputs, beside it and in the collection of its batch."""

import contextlib
from collections.abc import Container, Iterator
from pathlib import Path

from attnwatch.batches.discover import Folder, older_videos, videos_in, walk
from attnwatch.batches.passed import Passed
from attnwatch.batches.videos import outputs_of
from attnwatch.contract.names import OUTPUT_DIRECTORY, printable
from attnwatch.contract.reading import read_bytes
from attnwatch.errors import ManifestError
from attnwatch.report.found_outputs import Outputs, Surveyed
from attnwatch.report.video_state import Rendering, State, identifier_in, with_manifest, without_manifest
from attnwatch.system.exclusion import NOTHING, Exclusion
from attnwatch.system.folders import Links
from attnwatch.system.locks import locked_inodes

_LEVELS = 2  # <batch>/videos/<prompt>: levels between a video's folder and that of its batch


def survey(
    root: Path,
    out: Path | None = None,
    links: Links = Links.NONE,
    passed: Passed | None = None,
    excluded: Exclusion = NOTHING,
) -> Iterator[Rendering]:
    """Yield a rendering for every finished video below a path, then those with receipts in collections of batches.

    Args:
        root: the folder.
        out: folder of outputs and receipts, if the watcher was given one; None if they are beside the videos.
        links: which links are followed below the root.
        passed: takes what the walk passes without finding a video.
        excluded: what is left out below the root.

    """
    tree = Surveyed.of(root, out, links, excluded)
    locked = locked_inodes()
    batches: dict[Path, None] = {}
    for folder in walk(root, start=tree.root):
        if passed is not None:
            passed.take(folder)
        if folder.files:
            batches.update(dict.fromkeys(Path(folder.path).parents[:_LEVELS]))
        for rendering in beside(folder, tree, locked):
            if not folder.files:  # an older video: the folder is that of its batch
                batches[Path(folder.path)] = None
            yield rendering
    for batch in batches:
        if batch.is_relative_to(root):
            yield from _collected(batch, tree, locked)


def beside(
    folder: Folder, tree: Surveyed, locked: frozenset[int], receipts: Container[str] | None = None
) -> Iterator[Rendering]:
    """Yield the rendering beside each video of a visited folder.

    Args:
        folder: the folder; only the videos that it lists count.
        tree: the folder that is surveyed.
        locked: inodes of the locked files.
        receipts: names of the receipts to read, among which are those of these videos; None for all.

    """
    if folder.files:
        outputs = Outputs.read(tree, Path(folder.path), locked, receipts)
        by_manifest = {receipt.manifest: receipt for receipt in outputs.receipts}
        for name in folder.files:
            yield with_manifest(Path(folder.path, name), by_manifest.get(printable(name)), outputs, tree)
    for tensors in older_videos(folder):
        yield without_manifest(tensors, tree, locked)


def _collected(batch: Path, tree: Surveyed, locked: frozenset[int]) -> Iterator[Rendering]:
    outputs = Outputs.read(tree, batch, locked)
    for receipt in outputs.receipts:
        state: State = "running" if receipt.video_id in outputs.running else receipt.status
        place = tree.place(batch / receipt.manifest, receipt.video_id, outputs.directory)
        yield Rendering(place, state, receipt, batch)
    if not outputs.problems:
        return
    for manifest, video_id in _videos_of(batch, tree):
        place = tree.place(manifest, video_id, outputs.directory)
        if (problem := outputs.problems.get(place.path.name)) is not None:
            yield Rendering(place, "running" if video_id in outputs.running else "failed", None, batch, problem)


def _videos_of(batch: Path, tree: Surveyed) -> Iterator[tuple[Path, str]]:
    """Yield the path and the identifier of each video of a batch whose outputs beside it are in another folder."""
    for path in (path for folder in walk(batch, start=tree.root) for path in videos_in(folder)):
        usual, beside = outputs_of(path)
        if beside == batch / OUTPUT_DIRECTORY:
            continue
        declared = None
        with contextlib.suppress(ManifestError, OSError):
            declared = identifier_in(read_bytes(path, root=tree.root))
        yield path, declared or usual
