"""What is found in folders of outputs: receipts, why others cannot be read, and the videos whose locks are held."""

import contextlib
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from attnwatch.batches.targets import outputs_at
from attnwatch.contract.documents import ReceiptHead
from attnwatch.contract.names import OUTPUT_DIRECTORY, RECEIPT_SUFFIX, is_receipt
from attnwatch.contract.reading import MAX_RECEIPT_BYTES, read_document
from attnwatch.contract.receipts import Place, describe, unreadable
from attnwatch.errors import ManifestError
from attnwatch.system.exclusion import NOTHING, Exclusion
from attnwatch.system.folders import Links
from attnwatch.system.locks import lock_file
from attnwatch.system.roots import Root

_LOCK = ".lock"


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
        """Return a folder to survey; `attnwatch.report.survey.survey` says what the arguments mean."""
        placed = partial(outputs_at, roots=(root,), out=out)
        return cls(Root(root, links, excluded=excluded), Root(out or root, links), placed)

    def place(self, manifest: Path, video_id: str, directory: Path) -> Place:
        """Return the place of a receipt in a folder of outputs."""
        return Place(manifest, video_id, directory, root=self.outputs)


class Head(ReceiptHead):
    """What is read of a receipt."""

    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outputs:
    """Receipts in a folder of outputs, why others cannot be read, by name, and the videos whose locks are held."""

    directory: Path
    receipts: tuple[Head, ...]
    problems: Mapping[str, str]
    running: frozenset[str]

    @classmethod
    def read(
        cls, tree: Surveyed, home: Path, locked: frozenset[int], wanted: Container[str] | None = None
    ) -> "Outputs":
        """Read a folder of outputs.

        Args:
            tree: the folder that is surveyed.
            home: folder of the videos, or of the batch whose collection is meant.
            locked: inodes of the locked files.
            wanted: names of the receipts to read; None for all.

        """
        directory, named, running = tree.places(home / OUTPUT_DIRECTORY), [], set()
        with contextlib.suppress(OSError), tree.outputs.folder(directory) as folder, folder.scan() as entries:
            for entry in entries:
                if is_receipt(entry.name) and not entry.name.startswith("."):
                    named += [entry.name] if wanted is None or entry.name in wanted else []
                elif entry.name.endswith(_LOCK) and entry.inode() in locked:
                    running.add(entry.name[1 : -len(_LOCK)])
        read = {name: receipt_at(tree.place(home, name.removesuffix(RECEIPT_SUFFIX), directory)) for name in named}
        receipts = tuple(found for found in read.values() if isinstance(found, Head))
        problems = {name: found for name, found in read.items() if isinstance(found, str)}
        return cls(directory, receipts, problems, frozenset(running))


def receipt_at(place: Place) -> Head | str | None:
    """Return a receipt, or why it cannot be read; None if there is none for the video that its name says."""
    try:
        receipt, _ = read_document(place.path, Head, MAX_RECEIPT_BYTES, root=place.root)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ManifestError, OSError) as error:
        return describe(unreadable(place.path, error))
    return receipt if receipt.video_id == place.video_id else None


def is_locked(place: Place, locked: frozenset[int]) -> bool:
    """Whether the lock of a video is held."""
    try:
        with place.open() as folder:
            return folder.stat(lock_file(place.video_id)).st_ino in locked
    except OSError:
        return False
