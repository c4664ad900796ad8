"""A rendering that should be made: everything known about it, and what still prevents it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from attnwatch.batches.targets import Target
from attnwatch.contract.fingerprint import Fingerprint
from attnwatch.contract.manifest import Manifest, require_whole
from attnwatch.contract.receipts import NOTHING, Place, Stored, describe
from attnwatch.contract.stamps import Stamp
from attnwatch.errors import NotReadyError
from attnwatch.jobs.video import Job
from attnwatch.settings import Visualization, Watcher
from attnwatch.system.permissions import unwritable


@dataclass(frozen=True)
class Basis:
    """The state of all files that a decision depends on. As long as it is unchanged, so is the decision.

    Everything is stamped before it is read, so a change in between makes the next scan decide again.

    Attributes:
        origins: stamps of the manifest and of the end of its batch, see `attnwatch.watch.decisions.origins`.
        stamps: of the files that the manifest names.
        receipt: path of the receipt; None if no rendering is wanted.
        receipt_stamp: of the receipt.

    """

    origins: tuple[Stamp | None, ...]
    stamps: Mapping[str, Stamp | None] = field(default_factory=dict)
    receipt: Path | None = None
    receipt_stamp: Stamp | None = None


@dataclass(frozen=True)
class Task:
    """A rendering that should be made.

    Attributes:
        target: the video, beside itself or in its batch's collection.
        place: of its receipt.
        manifest: of the video.
        basis: stamps of all its files.
        fingerprint: everything that its pictures depend on.
        settings: the effective settings.
        batch_sha256: digest of how the batch ended, if the colour scale is that of the whole batch; else None.
        stored: the current receipt, which is missing, stale, due, or to be replaced.
        recheck: the receipt is valid except for file times: render only if the content of a file has changed.

    """

    target: Target
    place: Place
    manifest: Manifest
    basis: Basis
    fingerprint: Fingerprint
    settings: Visualization
    batch_sha256: str | None
    stored: Stored = NOTHING
    recheck: bool = False

    @property
    def has_video(self) -> bool:
        """Whether the source video is there, although a worker elsewhere may not see it yet."""
        return self.basis.stamps.get(self.manifest.document.video) is not None

    def obstacle(self, *, video_may_be_absent: bool) -> str | None:
        """Return what is missing before it can be started; None if nothing is."""
        try:
            if not self.recheck:  # a recheck only reads files that are there
                require_whole(self.manifest, video_may_be_absent=video_may_be_absent)
        except (NotReadyError, OSError) as error:
            return describe(error)
        return unwritable(self.place.directory)

    def job(self, watcher: Watcher, tokens: tuple[str, ...] | None, *, threads: int, video_may_be_absent: bool) -> Job:
        """Return the job that renders it.

        Args:
            watcher: how often a video is tried, and the limits of a job.
            tokens: only these words; None for all.
            threads: outputs encoded at the same time.
            video_may_be_absent: render without overlays if the source video is missing.

        """
        return Job(
            place=self.place,
            seen=self.stored,
            settings=self.settings,
            tokens=tokens,
            watcher=watcher,
            root=self.manifest.root.above,
            video_may_be_absent=video_may_be_absent,
            threads=threads,
            batch=self.target.batch,
            batch_sha256=self.batch_sha256,
            accepted=self.manifest.accepted,
            recheck=self.recheck,
        )
