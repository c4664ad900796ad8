"""The job that draws the contact sheets of a batch when its collection has changed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from attnwatch.batches.discover import find_videos
from attnwatch.batches.videos import read_video
from attnwatch.contract.documents import ContactSheetsDocument, ReceiptDocument, SheetRecord
from attnwatch.contract.fingerprint import RENDERER_VERSION
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.names import SHEET_PREFIX, SHEET_SUFFIX, Subject, sheet_names
from attnwatch.contract.receipts import describe
from attnwatch.errors import AttnwatchError, BusyError
from attnwatch.jobs.collection import RECORD, Collection
from attnwatch.settings import Visualization, Watcher
from attnwatch.system.folders import Folder
from attnwatch.system.limits import Limits
from attnwatch.system.locks import exclusive
from attnwatch.system.roots import Root
from attnwatch.system.shortage import Shortage, shortage_behind


@dataclass(frozen=True)
class SheetResult:
    """The result of a sheet job.

    Attributes:
        sheets: the pages of each sheet that was drawn.
        notes: what they lack, and why.
        error: why none were drawn; None if there was no error.
        shortage: the resource that ran out, if that was the error.

    """

    sheets: tuple[tuple[Path, ...], ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None
    shortage: Shortage | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The pages of all sheets."""
        return tuple(page for pages in self.sheets for page in pages)


@dataclass(frozen=True)
class SheetJob:
    """Draws the contact sheets of one batch.

    Attributes:
        batch: folder of the batch.
        directory: folder of its collection.
        root: where the lookup of the batch starts; None for the batch itself.
        outputs_root: where the lookup of the collection starts; None for the folder above.
        settings: of the pictures; `visualization_timeout` counts per video.
        watcher: limits of the process.
        anew: draw them even if they show the collection as it is.

    """

    batch: Path
    directory: Path
    settings: Visualization
    watcher: Watcher
    root: Root | None = None
    outputs_root: Root | None = None
    anew: bool = False

    @property
    def collection(self) -> Collection:
        """The collection of the batch."""
        return Collection(self.directory, self.outputs_root or Root(self.directory.parent))

    @property
    def label(self) -> str:
        """What it is called: `sheets-kiss_20260102_030405`."""
        return f"sheets-{self.batch.name}"

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
            with self.collection.open() as folder, exclusive(folder, RECORD):
                return _draw(self, folder) if self._is_due() else SheetResult()
        except BusyError:
            return SheetResult()  # another process is drawing them
        except (AttnwatchError, OSError, MemoryError) as error:
            return SheetResult(error=describe(error), shortage=shortage_behind(error))

    def _is_due(self) -> bool:
        forced = self.anew and self.collection.key() is not None
        return forced or self.collection.is_due(self.settings)


def _draw(job: SheetJob, folder: Folder) -> SheetResult:
    # Imported only in the job's process, so that the watcher stays small, without numpy and matplotlib.
    from attnwatch.render.sheets.book import Book  # noqa: PLC0415

    _remove_unfinished(folder)
    key, before, root = job.collection.key(), job.collection.record(), job.root or Root(job.batch)
    collected = {receipt.video_id: receipt for receipt in job.collection.rendered()}
    notes: list[str] = []
    manifests = [m for m in _readable(job.batch, root, notes) if m.video_id in collected]
    words = dict.fromkeys(word for receipt in collected.values() for word in receipt.words)
    videos = {word: _having(word, manifests, collected) for word in words}
    book = Book(job.batch.name, {word: found for word, found in videos.items() if found}, job.settings, root)
    undrawn = [word for word in words if Subject(word) not in book.pages]
    lost = "the tensors of its videos were removed or cannot be read"
    notes += [f"no new contact sheet of {word!r}: {lost}" for word in undrawn]
    kept = _kept(before, undrawn, words)
    names = sheet_names(book.pages | Counter(Subject(sheet.token, sheet.slot) for sheet in kept))
    drawn: dict[Subject, list[Path]] = {}
    for subject, page in book.order():
        with folder.writing(names[subject][page]) as file:
            notes += book.write(subject, page, file)
        drawn.setdefault(subject, []).append(job.directory / names[subject][page])
    sheets = [*kept, *_records(drawn)]
    _remove_outdated(folder, before, sheets)
    document = ContactSheetsDocument(
        collection_sha256=key or "",
        files=tuple(sheet.file for sheet in sheets),
        sheets=tuple(sheets),
        rows=job.settings.sheet,
        renderer=RENDERER_VERSION,
    )
    folder.write(RECORD, document.model_dump_json(indent=2, exclude_none=True).encode() + b"\n")
    return SheetResult(tuple(map(tuple, drawn.values())), tuple(dict.fromkeys(notes)))


def _records(drawn: Mapping[Subject, Sequence[Path]]) -> Iterator[SheetRecord]:
    for subject, pages in drawn.items():
        for page, path in enumerate(pages, 1):
            yield SheetRecord(file=path.name, token=subject.word, slot=subject.slot, page=page)


def _kept(before: ContactSheetsDocument | None, undrawn: Sequence[str], words: Iterable[str]) -> list[SheetRecord]:
    """Return the pages that stay as they are, because nothing is left to draw them from."""
    if before is None or not undrawn:
        return []
    known = before.sheets
    if not known:  # written before 0.5.0
        names = sheet_names({Subject(word): len(before.files) for word in words})
        shown = {name: (subject, page) for subject, pages in names.items() for page, name in enumerate(pages, 1)}
        known = tuple(
            SheetRecord(file=file, token=shown[file][0].word, page=shown[file][1])
            for file in before.files
            if file in shown
        )
    return [sheet for sheet in known if sheet.token in undrawn]


def _remove_outdated(folder: Folder, before: ContactSheetsDocument | None, present: Iterable[SheetRecord]) -> None:
    """Remove the pages that were drawn before and are not needed any more."""
    files = {sheet.file for sheet in present}
    for name in before.files if before is not None else ():
        # Others may have written the record: it must not name anything else.
        if name not in files and name.startswith(SHEET_PREFIX) and name.endswith(SHEET_SUFFIX):
            folder.unlink(name)


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


def _having(word: str, manifests: Iterable[Manifest], collected: Mapping[str, ReceiptDocument]) -> list[Manifest]:
    return [m for m in manifests if word in collected[m.video_id].words]
