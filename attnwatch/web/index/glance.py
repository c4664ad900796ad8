"""A quick look at a folder of videos: which files are there, and when they were written; none is read."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from attnwatch.contract.names import MEASURES_SUFFIX, OUTPUT_DIRECTORY, RECEIPT_SUFFIX, is_manifest, is_receipt
from attnwatch.report.found_outputs import Surveyed
from attnwatch.system.folders import Folder

Times: TypeAlias = tuple[int, int]
"""Size in bytes, and time of the last change in nanoseconds."""

_KEPT = (RECEIPT_SUFFIX, MEASURES_SUFFIX)
_COARSE = 50_000_000  # nanoseconds within which a folder may change twice and have the same time


@dataclass(frozen=True)
class Glance:
    """What is in a folder, and in the folder of its outputs.

    Attributes:
        manifests: times of the manifests, by name.
        outputs: times of receipts and measures, by name.
        changed: when each of the two folders has last changed; None if it is not there.

    """

    manifests: dict[str, Times] = field(default_factory=dict)
    outputs: dict[str, Times] = field(default_factory=dict)
    changed: tuple[int | None, int | None] = (None, None)

    @classmethod
    def at(cls, path: Path, surveyed: Surveyed) -> "Glance":
        """Look at a folder."""
        outputs = surveyed.places(path / OUTPUT_DIRECTORY)
        changed = times_of(str(path)), times_of(str(outputs))  # first: what comes meanwhile is seen the next time
        manifests, made = dict[str, Times](), dict[str, Times]()
        with contextlib.suppress(OSError), surveyed.root.folder(path) as folder:
            manifests = _times_in(folder, is_manifest)
        with contextlib.suppress(OSError), surveyed.outputs.folder(outputs) as folder:
            made = _times_in(folder, lambda name: name.endswith(_KEPT) and not name.startswith("."))
        return cls(manifests, made, changed)

    def of_video(self, manifest: str, video_id: str) -> tuple[Times | None, ...]:
        """Return the times of the files that the state of a video depends on, as far as they are known."""
        beside = (self.outputs.get(f"{video_id}{suffix}") for suffix in _KEPT)
        return (self.manifests.get(manifest), *beside)

    def receipts_but(self, video_ids: set[str]) -> frozenset[str]:
        """Return the names of all receipts but those of some videos."""
        return frozenset(
            name for name in self.outputs if is_receipt(name) and name.removesuffix(RECEIPT_SUFFIX) not in video_ids
        )

    def is_recent(self, now: int) -> bool:
        """Return whether the folders have changed just now, so that their times may not tell of another change."""
        return any(time is not None and now - time < _COARSE for time in self.changed)


def times_of(path: str) -> int | None:
    """Return when a folder has last changed, in nanoseconds; None if it is not there."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - Path costs ten times as much
    except OSError:
        return None


def _times_in(folder: Folder, wanted: Callable[[str], bool]) -> dict[str, Times]:
    found = dict[str, Times]()
    with folder.scan() as entries:
        for entry in entries:
            if wanted(entry.name):
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    found[entry.name] = (status.st_size, status.st_mtime_ns)
    return found
