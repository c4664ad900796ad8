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
from attnwatch.contract.names import RECEIPT_SUFFIX, sheet_names
from attnwatch.contract.reading import read_document
from attnwatch.contract.receipts import Place, describe
from attnwatch.contract.stamps import stamp_of
from attnwatch.errors import AttnwatchError, BusyError, ManifestError
from attnwatch.settings import Visualization, Watcher
from attnwatch.system.files import move_into_place, sync, write_atomically
from attnwatch.system.limits import Limits
from attnwatch.system.locks import exclusive
from attnwatch.system.shortage import Shortage, shortage_behind

_RECORD = "contact_sheets.json"


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
        settings: of the pictures; `visualization_timeout` counts per video.
        watcher: limits of the process.

    """

    batch: Path
    directory: Path
    settings: Visualization
    watcher: Watcher

    @property
    def limits(self) -> Limits:
        """Limits of its process."""
        seconds = self.settings.visualization_timeout * (1 + len(_collected(self.directory)))
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
            with exclusive(self.directory, _RECORD):
                return _draw(self) if is_due(self.directory) else SheetResult()
        except BusyError:
            return SheetResult()  # another process is drawing them
        except (AttnwatchError, OSError, MemoryError) as error:
            return SheetResult(error=describe(error), shortage=shortage_behind(error))


def is_due(directory: Path) -> bool:
    """Return whether a collection has changed since its sheets were drawn."""
    key = _key(directory)
    return key is not None and _recorded(directory) != key


def _key(directory: Path) -> str | None:
    """Return the digest of what has been collected; None if nothing has."""
    receipts = sorted((r.video_id, r.manifest_sha256, r.settings_sha256) for r in _collected(directory))
    return hashlib.sha256(json.dumps(receipts).encode()).hexdigest() if receipts else None


def _recorded(directory: Path) -> str | None:
    try:
        return read_document(directory / _RECORD, ContactSheetsDocument)[0].collection_sha256
    except (OSError, ManifestError):
        return None


def _collected(directory: Path) -> list[ReceiptDocument]:
    places = (
        Place(directory, path.name.removesuffix(RECEIPT_SUFFIX), directory)
        for path in sorted(directory.glob(f"*{RECEIPT_SUFFIX}"))
    )
    receipts = (place.read() for place in places)
    return [receipt for receipt in receipts if receipt is not None and receipt.status == "rendered"]


def _draw(job: SheetJob) -> SheetResult:
    # Imported only in the job's process, so that the watcher stays small, without numpy and matplotlib.
    from attnwatch.render.scales import batch_scales  # noqa: PLC0415
    from attnwatch.render.sheet import ROWS_PER_SHEET, write_sheet  # noqa: PLC0415

    key, directory = _key(job.directory), job.directory
    collected = {receipt.video_id: receipt for receipt in _collected(directory)}
    notes: list[str] = []
    manifests = [m for m in _readable(job.batch, notes) if m.video_id in collected]
    scales = batch_scales([manifest.path for manifest in manifests], job.settings, None)
    words = dict.fromkeys(output.token for receipt in collected.values() for output in receipt.outputs)
    rows_of = {word: _one_per_prompt(_having(word, manifests, collected)) for word in words}
    names = sheet_names({word: -(-len(rows) // ROWS_PER_SHEET) for word, rows in rows_of.items()})
    files = []
    for word, rows in rows_of.items():
        if (scale := scales.get(word)) is None:
            notes.append(f"no new contact sheet of {word!r}: the tensors of its videos were removed or cannot be read")
            continue
        for start, name in zip(range(0, len(rows), ROWS_PER_SHEET), names[word], strict=True):
            target = directory / name
            unfinished = directory / f".{target.name}.tmp"
            notes += write_sheet(unfinished, rows[start : start + ROWS_PER_SHEET], word, scale, job.settings)
            move_into_place(unfinished, target)
            files.append(target)
    sync(directory)
    record = ContactSheetsDocument(collection_sha256=key or "", files=tuple(file.name for file in files))
    write_atomically(directory / _RECORD, record.model_dump_json(indent=2).encode() + b"\n")
    return SheetResult(tuple(files), tuple(dict.fromkeys(notes)))


def _readable(batch: Path, notes: list[str]) -> Iterator[Manifest]:
    """Yield the manifests of a batch; note those that cannot be read."""
    for path in find_videos(batch):
        try:
            yield read_video(path)
        except (AttnwatchError, OSError):
            notes.append(f"the contact sheets lack {path}, which cannot be read; `attnwatch check {path}` says why")


def _having(word: str, manifests: Iterable[Manifest], collected: Mapping[str, ReceiptDocument]) -> Iterator[Manifest]:
    return (m for m in manifests if any(output.token == word for output in collected[m.video_id].outputs))


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
