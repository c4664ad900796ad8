"""The colour scale that all videos of a collection share; the first job that needs it measures it."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attnwatch.batches.discover import find_videos
from attnwatch.contract.fingerprint import EARLIER_DEFAULTS, Fingerprint
from attnwatch.contract.receipts import Place
from attnwatch.contract.stamps import stamp_of
from attnwatch.settings import Visualization
from attnwatch.system.folders import Folder
from attnwatch.system.locks import exclusive
from attnwatch.system.roots import Root

if TYPE_CHECKING:
    from attnwatch.render.maps import Scale

_PREFIX = ".scales_"


@dataclass(frozen=True)
class BatchScale:
    """The colour scale of a batch, kept in a hidden file of its collection.

    Attributes:
        batch: folder of the batch.
        batch_sha256: digest of how the batch ended.
        place: of a receipt in its collection.
        settings: the effective settings.
        root: where the lookup of the batch starts.

    """

    batch: Path
    batch_sha256: str
    place: Place
    settings: Visualization
    root: Root

    @property
    def path(self) -> Path:
        """The file; it exists once the scale has been measured."""
        fingerprint = Fingerprint.of("", self.settings, None, {})
        names = [fingerprint.settings_sha256]
        # Earlier versions named it by another digest. Measured again, it might lack videos whose tensors were deleted.
        for before in map(fingerprint.as_of, EARLIER_DEFAULTS):
            names += [before.settings_sha256, before.all_settings_sha256]
        paths = [self._named(name) for name in names]
        return next((path for path in paths if stamp_of(path) is not None), paths[0])

    def videos_to_measure(self) -> int:
        """Return the number of videos to read before the scale is known."""
        return sum(1 for _ in find_videos(self.batch, self.root)) if stamp_of(self.path) is None else 0

    def ends(self) -> "dict[str, Scale]":
        """Return the ends of the scale by word.

        Raises:
            BusyError: another process is measuring them. To wait for it here would occupy a worker.

        """
        # Imported in the job's process only: the watcher itself stays small, without numpy.
        from attnwatch.render.scales import batch_scales  # noqa: PLC0415

        # A scale that is there is only read: nobody can keep it from others by holding its lock.
        is_known = stamp_of(self.path) is not None
        with (
            self.place.open(create=True) as folder,
            contextlib.nullcontext() if is_known else exclusive(folder, self.path.name),
        ):
            self._remove_outdated(folder)
            videos = find_videos(self.batch, self.root)
            return batch_scales(videos, self.settings, self.root, (folder, self.path.name))

    def _named(self, settings_sha256: str) -> Path:
        return self.place.directory / f"{self._stem}_{settings_sha256[:16]}.json"

    @property
    def _stem(self) -> str:
        return f"{_PREFIX}{self.batch_sha256[:16]}"

    def _remove_outdated(self, folder: Folder) -> None:
        for name in folder.names():
            if name.startswith(_PREFIX) and not name.startswith(self._stem):
                folder.unlink(name)
