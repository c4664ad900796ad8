"""The colour scale that all videos of a collection share; the first job that needs it measures it."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attnwatch.batches.discover import find_videos
from attnwatch.contract.fingerprint import Fingerprint
from attnwatch.contract.stamps import stamp_of
from attnwatch.settings import Visualization
from attnwatch.system.locks import exclusive

if TYPE_CHECKING:
    from attnwatch.render.maps import Scale

_PREFIX = ".scales_"


@dataclass(frozen=True)
class BatchScale:
    """The colour scale of a batch, kept in a hidden file of its collection.

    Attributes:
        batch: folder of the batch.
        batch_sha256: digest of how the batch ended.
        directory: folder of its collection.
        settings: the effective settings.

    """

    batch: Path
    batch_sha256: str
    directory: Path
    settings: Visualization

    @property
    def path(self) -> Path:
        """The file; it exists once the scale has been measured."""
        fingerprint = Fingerprint.of("", self.settings, None, {})
        current, earlier = map(self._named, (fingerprint.settings_sha256, fingerprint.all_settings_sha256))
        # Version 0.1.0 named it by another digest. Measured again, it might lack videos whose tensors were deleted.
        return earlier if stamp_of(current) is None and stamp_of(earlier) is not None else current

    def videos_to_measure(self) -> int:
        """Return the number of videos to read before the scale is known."""
        return sum(1 for _ in find_videos(self.batch)) if stamp_of(self.path) is None else 0

    def ends(self) -> "dict[str, Scale]":
        """Return the ends of the scale by word.

        Raises:
            BusyError: another process is measuring them. To wait for it here would occupy a worker.

        """
        # Imported in the job's process only: the watcher itself stays small, without numpy.
        from attnwatch.render.scales import batch_scales  # noqa: PLC0415

        # A scale that is there is only read: nobody can keep it from others by holding its lock.
        is_known = stamp_of(self.path) is not None
        with contextlib.nullcontext() if is_known else exclusive(self.directory, self.path.name):
            self._remove_outdated()
            return batch_scales(find_videos(self.batch), self.settings, self.path)

    def _named(self, settings_sha256: str) -> Path:
        return self.directory / f"{self._stem}_{settings_sha256[:16]}.json"

    @property
    def _stem(self) -> str:
        return f"{_PREFIX}{self.batch_sha256[:16]}"

    def _remove_outdated(self) -> None:
        for path in self.directory.glob(f"{_PREFIX}*"):
            if not path.name.startswith(self._stem):
                path.unlink(missing_ok=True)
