"""The job that draws the contact sheets of a batch when its collection has changed."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from attnwatch.batches.discover import find_videos
from attnwatch.batches.videos import read_video
from attnwatch.contract.documents import ContactSheetsDocument, ReceiptDocument
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.names import RECEIPT_SUFFIX, SHEET_PREFIX, is_receipt, sheet_names
from attnwatch.contract.reading import read_document
from attnwatch.contract.receipts import Place, describe
from attnwatch.contract.stamps import stamp_of
from attnwatch.errors import AttnwatchError, BusyError, ManifestError
from attnwatch.settings import Visualization, Watcher
from attnwatch.system.folders import Folder
from attnwatch.system.limits import Limits
from attnwatch.system.locks import exclusive
from attnwatch.system.roots import Root
from attnwatch.system.shortage import Shortage, shortage_behind

_RECORD = "contact_sheets.json"
_LARGE = 2 * 2**20  # bytes of receipts that the loop does not read itself: the job, which has limits, finds out


@dataclass(frozen=True)
class SheetResult:
    """The result of a sheet job.

    Attributes:
        files: the sheets that were drawn.
        notes: what they lack, and why.
        error: why none were drawn; None if there was no error.
        shortage: the resource that ran out, if that was the error.

    """

    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None
    shortage: Shortage | None = None


@dataclass(frozen=True)
class SheetJob:
    """Draws the contact sheets of one batch: one picture per word, a row per prompt.

    Attributes:
        batch: folder of the batch.
        directory: folder of its collection.
        root: where the lookup of the batch starts; None for the batch itself.
        outputs_root: where the lookup of the collection starts; None for the folder above.
        settings: of the pictures; `visualization_timeout` counts per video.
        watcher: limits of the process.

    """

    batch: Path
    directory: Path
    settings: Visualization
    watcher: Watcher
    root: Root | None = None
    outputs_root: Root | None = None

    @property
    def collection(self) -> "Collection":
        """The collection of the batch."""
        return Collection(self.directory, self.outputs_root or Root(self.directory.parent))

    @property
    def limits(self) -> Limits:
        """Limits of its process."""
        seconds = self.settings.visualization_timeout * (1 + len(self.collection.receipts()))
        return Limits(seconds, 1, self.watcher.memory_limit, self.watcher.nice)

    @property
    def home(self) -> None:
        """None: a batch that is renamed meanwhile gets its sheets at the next scan, under its new name."""

    def seen_from(self, folder: Path) -> Self:  # noqa: ARG002 - part of the protocol
        """Return the job itself."""
        return self

    def run(self) -> SheetResult:
        """Draw the sheets in this process."""
        try:
            with self.collection.open() as folder, exclusive(folder, _RECORD):
                return _draw(self, folder) if self.collection.is_due() else SheetResult()
        except BusyError:
            return SheetResult()  # another process is drawing them
        except (AttnwatchError, OSError, MemoryError) as error:
            return SheetResult(error=describe(error), shortage=shortage_behind(error))


@dataclass(frozen=True)
class Collection:
    """The folder that the videos of a batch are collected in.

    Attributes:
        directory: the folder.
        root: where its lookup starts.

    """

    directory: Path
    root: Root

    def open(self) -> Folder:
        """Open the folder."""
        return self.root.folder(self.directory)

    def receipts(self) -> list[str]:
        """Return the names of the receipts, in order."""
        try:
            with self.open() as folder:
                return sorted(name for name in folder.names() if is_receipt(name))
        except OSError:  # nothing was collected yet
            return []

    def is_large(self) -> bool:
        """Return whether the receipts have more bytes than the watcher's loop should read."""
        try:
            with self.open() as folder:
                return sum(folder.stat(name).st_size for name in self.receipts()) > _LARGE
        except OSError:
            return False

    def rendered(self) -> list[ReceiptDocument]:
        """Return the receipts of what has been collected."""
        places = (self._place(name.removesuffix(RECEIPT_SUFFIX)) for name in self.receipts())
        receipts = ((place.video_id, place.read()) for place in places)
        return [found for name, found in receipts if found and (found.video_id, found.status) == (name, "rendered")]

    def is_due(self) -> bool:
        """Return whether it has changed since its sheets were drawn."""
        key = self.key()
        return key is not None and self._recorded() != key

    def key(self) -> str | None:
        """Return the digest of what has been collected; None if nothing has."""
        receipts = sorted((r.video_id, r.manifest_sha256, r.settings_sha256) for r in self.rendered())
        return hashlib.sha256(json.dumps(receipts).encode()).hexdigest() if receipts else None

    def _place(self, video_id: str) -> Place:
        return Place(self.directory, video_id, self.directory, root=self.root)

    def _recorded(self) -> str | None:
        try:
            record, _ = read_document(self.directory / _RECORD, ContactSheetsDocument, root=self.root)
        except (OSError, ManifestError):
            return None
        return record.collection_sha256


def _draw(job: SheetJob, folder: Folder) -> SheetResult:
    # Imported only in the job's process, so that the watcher stays small, without numpy and matplotlib.
    from attnwatch.render.scales import batch_scales  # noqa: PLC0415
    from attnwatch.render.sheet import ROWS_PER_SHEET, write_sheet  # noqa: PLC0415

    _remove_unfinished(folder)
    key, root = job.collection.key(), job.root or Root(job.batch)
    collected = {receipt.video_id: receipt for receipt in job.collection.rendered()}
    notes: list[str] = []
    manifests = [m for m in _readable(job.batch, root, notes) if m.video_id in collected]
    scales = batch_scales([manifest.path for manifest in manifests], job.settings, root)
    words = dict.fromkeys(word for receipt in collected.values() for word in receipt.words)
    rows_of = {word: _one_per_prompt(_having(word, manifests, collected)) for word in words}
    names = sheet_names({word: -(-len(rows) // ROWS_PER_SHEET) for word, rows in rows_of.items()})
    files = []
    for word, rows in rows_of.items():
        if (scale := scales.get(word)) is None:
            notes.append(f"no new contact sheet of {word!r}: the tensors of its videos were removed or cannot be read")
            continue
        for start, name in zip(range(0, len(rows), ROWS_PER_SHEET), names[word], strict=True):
            with folder.writing(name) as file:
                notes += write_sheet(file, rows[start : start + ROWS_PER_SHEET], word, scale, job.settings)
            files.append(name)
    record = ContactSheetsDocument(collection_sha256=key or "", files=tuple(files))
    folder.write(_RECORD, record.model_dump_json(indent=2).encode() + b"\n")
    return SheetResult(tuple(job.directory / name for name in files), tuple(dict.fromkeys(notes)))


def _readable(batch: Path, root: Root, notes: list[str]) -> Iterator[Manifest]:
    """Yield the manifests of a batch; note those that cannot be read."""
    for path in find_videos(batch, root):
        try:
            yield read_video(path, root)
        except (AttnwatchError, OSError):
            notes.append(f"the contact sheets lack {path}, which cannot be read; `attnwatch check {path}` says why")


def _remove_unfinished(folder: Folder) -> None:
    """Remove the sheets of a job that was killed. The caller holds the lock."""
    for name in folder.names():
        if name.startswith(f".{SHEET_PREFIX}") and name.endswith(".tmp"):
            folder.unlink(name)


def _having(word: str, manifests: Iterable[Manifest], collected: Mapping[str, ReceiptDocument]) -> Iterator[Manifest]:
    return (m for m in manifests if word in collected[m.video_id].words)


def _one_per_prompt(manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return the first video of each prompt that has its tensors, else the first; of each folder without prompts."""
    first: dict[object, Manifest] = {}
    for manifest in manifests:
        made = manifest.document.generation
        prompt = made.prompt_id or made.prompt or manifest.path.parent
        if not _has_tensors(first.setdefault(prompt, manifest)) and _has_tensors(manifest):
            first[prompt] = manifest
    return list(first.values())


def _has_tensors(manifest: Manifest) -> bool:
    return all(stamp_of(path) is not None for path in manifest.attention)
