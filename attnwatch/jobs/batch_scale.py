"""The colour scale that all videos of a collection share: measured once, by the job that comes first."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attnwatch.batches.discover import find_videos
from attnwatch.contract.receipts import Fingerprint
from attnwatch.contract.stamps import stamp_of
from attnwatch.settings import Visualization
from attnwatch.system.locks import ENDLESS, exclusive

if TYPE_CHECKING:
    from attnwatch.render.maps import Scale

_PREFIX = ".scales_"


@dataclass(frozen=True)
class BatchScale:
    """The scale of a batch, which a hidden file of its collection keeps.

    Attributes:
        batch: its folder.
        batch_sha256: how it ended.
        directory: of its collection.
        settings: the effective ones.

    """

    batch: Path
    batch_sha256: str
    directory: Path
    settings: Visualization

    @property
    def path(self) -> Path:
        """The file, which is there once the scale is known."""
        settings_sha256 = Fingerprint.of("", self.settings, None, {}).settings_sha256
        return self.directory / f"{self._beginning}_{settings_sha256[:16]}.json"

    def videos_to_measure(self) -> int:
        """Return the number of videos that have to be read before the scale is known."""
        return sum(1 for _ in find_videos(self.batch)) if stamp_of(self.path) is None else 0

    def ends(self) -> "dict[str, Scale]":
        """Return the ends of the scale by word; whoever asks while another process measures them waits for that."""
        # Imported in the job's process only: the watcher itself stays small, without numpy.
        from attnwatch.render.scales import batch_scales  # noqa: PLC0415

        with exclusive(self.directory, self.path.name, patience=ENDLESS):
            self._remove_outdated()
            return batch_scales(find_videos(self.batch), self.settings, self.path)

    @property
    def _beginning(self) -> str:
        return f"{_PREFIX}{self.batch_sha256[:16]}"

    def _remove_outdated(self) -> None:
        for path in self.directory.glob(f"{_PREFIX}*"):
            if not path.name.startswith(self._beginning):
                path.unlink(missing_ok=True)
