"""Determines the state of each video below a folder from manifests, receipts and locks alone.

It reads neither the configuration nor tensors, so unlike a watcher it does not notice changed settings, or a file that
was replaced by another of the same size.
"""

import contextlib
import hashlib
import os
from codecs import BOM_UTF8
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from attnwatch.batches.discover import Folder, older_videos, videos_in, walk
from attnwatch.batches.passed import Passed
from attnwatch.batches.targets import outputs_at
from attnwatch.batches.videos import outputs_of, read_video
from attnwatch.config import Settings
from attnwatch.contract.documents import ReceiptHead
from attnwatch.contract.fields import Identifier
from attnwatch.contract.manifest import read_manifest
from attnwatch.contract.names import OUTPUT_DIRECTORY, RECEIPT_SUFFIX, default_video_id, is_receipt, printable
from attnwatch.contract.reading import MAX_RECEIPT_BYTES, read_bytes, read_document
from attnwatch.contract.receipts import Place, describe, unreadable
from attnwatch.contract.validity import is_made_of
from attnwatch.errors import AttnwatchError, ManifestError
from attnwatch.report.reasons import NEW, Reason, why_empty, why_skipped, why_waiting
from attnwatch.system.exclusion import NOTHING, Exclusion
from attnwatch.system.folders import Links
from attnwatch.system.locks import lock_file, locked_inodes
from attnwatch.system.roots import Root

State = Literal["rendered", "skipped", "running", "waiting", "failed"]
_IDENTIFIER = TypeAdapter[str](Identifier)
_LOCK = ".lock"
_LEVELS = 2  # <batch>/videos/<prompt>: levels between a video's folder and that of its batch


@dataclass(frozen=True)
class Rendering:
    """State of one video's outputs, beside the video or in the collection of its batch.

    Attributes:
        place: where its receipt is, or will be.
        state: `running` while a process on this machine holds its lock; `waiting` without a valid receipt.
        receipt: its receipt; None if there is none, or if it cannot be read.
        problem: why its receipt cannot be read; None if it can, or if there is none.
        reason: why it waits or is skipped; None in other states.
        batch: folder of the batch whose collection the outputs are in; None if they are beside the video.

    """

    place: Place
    state: State
    receipt: ReceiptHead | None
    batch: Path | None = None
    problem: str | None = None
    reason: Reason | None = None


class _Head(ReceiptHead):
    notes: tuple[str, ...] = ()


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
        for rendering in tree.beside(folder, locked):
            if not folder.files:  # an older video: the folder is that of its batch
                batches[Path(folder.path)] = None
            yield rendering
    for batch in batches:
        if batch.is_relative_to(root):
            yield from _collected(batch, tree, locked)


@dataclass(frozen=True)
class Surveyed:
    """A folder that is surveyed: where lookups of videos and of outputs start, and where those beside a video are."""

    root: Root
    outputs: Root
    places: Callable[[Path], Path]

    @classmethod
    def of(
        cls, root: Path, out: Path | None = None, links: Links = Links.NONE, excluded: Exclusion = NOTHING
    ) -> "Surveyed":
        """Return a folder to survey; see `survey`."""
        placed = partial(outputs_at, roots=(root,), out=out)
        return cls(Root(root, links, excluded=excluded), Root(out or root, links), placed)

    def beside(
        self, folder: Folder, locked: frozenset[int], receipts: Container[str] | None = None
    ) -> Iterator[Rendering]:
        """Yield the rendering beside each video of a visited folder.

        Args:
            folder: the folder; only the videos that it lists count.
            locked: inodes of the locked files.
            receipts: names of the receipts to read, among which are those of these videos; None for all.

        """
        if folder.files:
            yield from _with_manifests(folder, self, locked, receipts)
        for tensors in older_videos(folder):
            yield _older(tensors, self, locked)

    def place(self, manifest: Path, video_id: str, directory: Path) -> Place:
        """Return the place of a receipt in a folder of outputs."""
        return Place(manifest, video_id, directory, root=self.outputs)


def _with_manifests(
    folder: Folder, tree: Surveyed, locked: frozenset[int], receipts: Container[str] | None
) -> Iterator[Rendering]:
    outputs = _Outputs.read(tree, Path(folder.path), locked, receipts)
    by_manifest = {receipt.manifest: receipt for receipt in outputs.receipts}
    for name in folder.files:
        yield _beside(Path(folder.path, name), by_manifest.get(printable(name)), outputs, tree)


@dataclass(frozen=True)
class _Outputs:
    """Receipts in a folder of outputs, why others cannot be read, by name, and the videos whose locks are held."""

    directory: Path
    receipts: tuple[_Head, ...]
    problems: Mapping[str, str]
    running: frozenset[str]

    @classmethod
    def read(
        cls, tree: Surveyed, home: Path, locked: frozenset[int], wanted: Container[str] | None = None
    ) -> "_Outputs":
        directory, named, running = tree.places(home / OUTPUT_DIRECTORY), [], set()
        with contextlib.suppress(OSError), tree.outputs.folder(directory) as folder, folder.scan() as entries:
            for entry in entries:
                if is_receipt(entry.name) and not entry.name.startswith("."):
                    named += [entry.name] if wanted is None or entry.name in wanted else []
                elif entry.name.endswith(_LOCK) and entry.inode() in locked:
                    running.add(entry.name[1 : -len(_LOCK)])
        read = {name: _receipt(tree.place(home, name.removesuffix(RECEIPT_SUFFIX), directory)) for name in named}
        receipts = tuple(found for found in read.values() if isinstance(found, _Head))
        problems = {name: found for name, found in read.items() if isinstance(found, str)}
        return cls(directory, receipts, problems, frozenset(running))


def _beside(manifest: Path, receipt: _Head | None, outputs: _Outputs, tree: Surveyed) -> Rendering:
    try:
        data = read_bytes(manifest, root=tree.root)
    except (ManifestError, OSError):
        data = b""
    document = _parsed(data) if receipt is None else None
    video_id, wanted = _declared(document) if receipt is None else (receipt.video_id, True)
    place = tree.place(manifest, video_id or default_video_id(manifest), outputs.directory)
    problem = None if receipt is not None else outputs.problems.get(place.path.name)
    state: State = "failed" if problem else "waiting" if wanted else "skipped"
    if receipt is not None and _holds(receipt, place, data):
        state = receipt.status
    if place.video_id in outputs.running:
        state = "running"
    reason = None
    if state == "waiting":
        sha256 = hashlib.sha256(data).hexdigest()
        reason = why_waiting(place, document or _parsed(data), receipt, sha256, tree.root)
    elif state == "skipped":
        reason = why_empty(receipt.notes) if receipt is not None else why_skipped(document)
    return Rendering(place, state, receipt, problem=problem, reason=reason)


def _older(tensors: Path, tree: Surveyed, locked: frozenset[int]) -> Rendering:
    """Return the state of a video of an older batch, which has no manifest, from its receipt."""
    video_id, usual = outputs_of(tensors)
    place = tree.place(tensors, video_id, tree.places(usual))
    found = _receipt(place)
    receipt, problem = (None, found) if isinstance(found, str) else (found, None)
    state: State = "failed" if problem else "waiting"
    if receipt is not None and _older_holds(receipt, place, tree):
        state = receipt.status
    if _is_locked(place, locked):
        state = "running"
    reason = None
    if state == "waiting":
        reason = NEW if receipt is None else Reason("changed since it was rendered")
    elif state == "skipped" and receipt is not None:
        reason = why_empty(receipt.notes)
    return Rendering(place, state, receipt, problem=problem, reason=reason)


def _older_holds(receipt: ReceiptHead, place: Place, tree: Surveyed) -> bool:
    try:
        manifest = read_video(place.manifest, tree.root)
    except (AttnwatchError, OSError):
        return receipt.status == "failed"
    return receipt.manifest_sha256 == manifest.sha256 and is_made_of(receipt, manifest.inputs(), place)


def _is_locked(place: Place, locked: frozenset[int]) -> bool:
    try:
        with place.open() as folder:
            return folder.stat(lock_file(place.video_id)).st_ino in locked
    except OSError:
        return False


def _collected(batch: Path, tree: Surveyed, locked: frozenset[int]) -> Iterator[Rendering]:
    outputs = _Outputs.read(tree, batch, locked)
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
            declared, _ = _declared(_parsed(read_bytes(path, root=tree.root)))
        yield path, declared or usual


def _receipt(place: Place) -> _Head | str | None:
    """Return a receipt, or why it cannot be read; None if there is none for the video that its name says."""
    try:
        receipt, _ = read_document(place.path, _Head, MAX_RECEIPT_BYTES, root=place.root)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ManifestError, OSError) as error:
        return describe(unreadable(place.path, error))
    return receipt if receipt.video_id == place.video_id else None


def _parsed(data: bytes) -> Any:  # noqa: ANN401 - JSON of another program
    """Return a manifest as JSON, which may be anything; None if it is none."""
    try:
        return from_json(data.removeprefix(BOM_UTF8))
    except ValueError:
        return None


def _declared(document: Any) -> tuple[str | None, bool]:  # noqa: ANN401 - JSON of another program
    """Return the identifier in a manifest, if any, and whether the manifest asks for outputs beside the video."""
    try:
        wanted = document.get("visualization", {}).get("auto_generate_per_video", True)
    except AttributeError:
        return None, True
    try:
        video_id = _IDENTIFIER.validate_python(document.get("video_id"))
    except ValidationError:
        video_id = None
    return video_id, wanted is not False


def _holds(receipt: ReceiptHead, place: Place, data: bytes) -> bool:
    """Whether a receipt matches the current manifest, inputs and renderer."""
    if receipt.manifest_sha256 != hashlib.sha256(data).hexdigest():
        return receipt.status == "failed" and _is_refused(place.manifest)
    folder = f"{place.manifest.parent}/"
    inputs = {name: _size(folder + name) for name in receipt.inputs}
    return is_made_of(receipt, inputs, place)


def _is_refused(manifest: Path) -> bool:
    """Whether a manifest is refused altogether; its receipt then has the digest of the reason."""
    try:
        Settings().for_batch(read_manifest(manifest).document.visualization, manifest)
    except (AttnwatchError, OSError):
        return True
    return False


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - Path costs ten times as much
    except (OSError, ValueError):  # a name in a receipt that is no path, such as one with NUL
        return None
