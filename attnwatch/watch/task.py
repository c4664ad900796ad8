"""A rendering that is to be made: all that is known of it, and what is still in its way."""

from dataclasses import dataclass

from attnwatch.batches.targets import Target
from attnwatch.contract.documents import ReceiptDocument
from attnwatch.contract.manifest import Manifest, require_whole
from attnwatch.contract.receipts import Fingerprint, Place, describe
from attnwatch.contract.stamps import Stamp
from attnwatch.errors import NotReadyError
from attnwatch.settings import Visualization
from attnwatch.system.files import unwritable


@dataclass(frozen=True)
class Task:
    """A rendering that is to be made, `wait` seconds from now.

    Attributes:
        target: what it is made for.
        place: where its receipt lies.
        manifest: what is rendered.
        origins: stamps of the manifest, and of the ending of the batch, before they were read.
        stamps: of the files that the manifest names.
        fingerprint: what its pictures depend on.
        settings: the effective ones.
        batch_sha256: how the batch ended, where its colour scale is that of the whole batch; else None.
        wait: seconds until it is due.
        receipt: the present one, which says that there is something to do.
        recheck: the receipt holds but for the times of the files: their content decides.

    """

    target: Target
    place: Place
    manifest: Manifest
    origins: tuple[Stamp | None, ...]
    stamps: dict[str, Stamp | None]
    fingerprint: Fingerprint
    settings: Visualization
    batch_sha256: str | None
    wait: float = 0.0
    receipt: ReceiptDocument | None = None
    recheck: bool = False

    def obstacle(self, *, video_may_be_absent: bool) -> str | None:
        """Return what is missing before it can be started, None if nothing is."""
        try:
            if not self.recheck:  # that looks at what is there
                require_whole(self.manifest, video_may_be_absent=video_may_be_absent)
        except (NotReadyError, OSError) as error:
            return describe(error)
        return unwritable(self.place.directory)
