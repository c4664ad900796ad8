"""The folder that the videos of a batch are collected in: what is there, and whether its contact sheets show it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from attnwatch.contract.documents import ContactSheetsDocument, ReceiptDocument
from attnwatch.contract.fingerprint import RENDERER_VERSION
from attnwatch.contract.names import RECEIPT_SUFFIX, SHEETS_FILE, is_receipt
from attnwatch.contract.reading import read_document
from attnwatch.contract.receipts import Place
from attnwatch.errors import ManifestError
from attnwatch.settings import Visualization
from attnwatch.system.folders import Folder
from attnwatch.system.roots import Root

RECORD = SHEETS_FILE
"""Name of the document about the contact sheets of a collection."""

_LARGE = 2 * 2**20  # bytes of receipts that the loop does not read itself: the job, which has limits, finds out
_ROWS_BEFORE = "first"  # of sheets whose record does not tell: those of versions before 0.5.0


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

    def is_due(self, settings: Visualization) -> bool:
        """Return whether it has changed since its sheets were drawn, or other rows are asked for.

        A default that was changed by a later version asks for nothing.
        """
        key, record = self.key(), self.record()
        if key is None:
            return False
        if record is None or record.collection_sha256 != key:
            return True
        if record.rows is None and "sheet" not in settings.model_fields_set:
            return False
        return (record.rows or _ROWS_BEFORE) != settings.sheet

    def is_outdated(self) -> bool:
        """Return whether an older renderer has drawn its sheets."""
        record = self.record()
        return record is not None and (record.renderer or 0) < RENDERER_VERSION

    def key(self) -> str | None:
        """Return the digest of what has been collected; None if nothing has."""
        receipts = sorted((r.video_id, r.manifest_sha256, r.settings_sha256) for r in self.rendered())
        return hashlib.sha256(json.dumps(receipts).encode()).hexdigest() if receipts else None

    def record(self) -> ContactSheetsDocument | None:
        """Return what is known about its sheets; None if there are none, or if that cannot be read."""
        try:
            record, _ = read_document(self.directory / RECORD, ContactSheetsDocument, root=self.root)
        except (OSError, ManifestError):
            return None
        return record

    def _place(self, video_id: str) -> Place:
        return Place(self.directory, video_id, self.directory, root=self.root)
