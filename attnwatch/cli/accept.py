"""`attnwatch accept`: takes the present files of a video for the right ones, and makes it due."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from attnwatch.batches.targets import outputs_at
from attnwatch.batches.videos import read_video
from attnwatch.cli.retry import make_due
from attnwatch.contract.acceptance import changed_files, write_acceptance
from attnwatch.contract.documents import FileRecord
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.names import OUTPUT_DIRECTORY
from attnwatch.contract.receipts import Place, describe
from attnwatch.errors import AttnwatchError
from attnwatch.system.folders import Links
from attnwatch.system.locks import exclusive
from attnwatch.system.roots import Root

_LEVELS = 3  # <batch>/videos/<prompt>/<manifest>


@dataclass(frozen=True)
class Accepted:
    """Result for one video.

    Attributes:
        video_id: its identifier; None if it cannot be read.
        files: the files that were accepted, by path.
        obstacle: why nothing was accepted; None if something was, or if all files are as listed.

    """

    video_id: str | None = None
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    obstacle: str | None = None


def accept(path: Path, root: Path | None = None, out: Path | None = None, links: Links = Links.NONE) -> Accepted:
    """Accept the files of one video as they are now; a running watcher notices its changed receipt.

    Args:
        path: manifest of the video.
        root: the folder that the watcher was given: outputs are in `out` as they would be in it; None for the video's.
        out: folder of outputs and receipts; None if they are beside the videos.
        links: which links are followed on the way to the video.

    """
    start = root or path.parent
    try:
        manifest = read_video(path, Root(start, links))
        place = _place(manifest, manifest.output_directory, start, out)
        if not manifest.document.files:
            return Accepted(manifest.video_id, obstacle="its manifest lists no sizes and digests, so any file is right")
        changed = changed_files(manifest)
        if changed:
            with place.open(create=True, parents=out is not None) as folder, exclusive(folder, place.video_id):
                write_acceptance(manifest, changed, folder)
            for due in (place, *_collected(manifest, start, out)):
                _require_due(due)
    except (AttnwatchError, OSError) as error:
        return Accepted(obstacle=describe(error))
    return Accepted(manifest.video_id, changed)


def _place(manifest: Manifest, directory: Path, start: Path, out: Path | None) -> Place:
    root = manifest.outputs_root if out is None else Root(out)
    return Place(manifest.path, manifest.video_id, outputs_at(directory, (start,), out), root=root)


def _collected(manifest: Manifest, start: Path, out: Path | None) -> Iterator[Place]:
    """Yield the places of the video in collections of the batch that it may belong to."""
    for batch in manifest.path.parents[1:_LEVELS]:
        if batch.is_relative_to(start) or out is None:
            directory = outputs_at(batch / OUTPUT_DIRECTORY, (start,), out)
            yield Place(manifest.path, manifest.video_id, directory, root=None if out is None else Root(out))


def _require_due(place: Place) -> None:
    """Make a failed video due; whatever else its receipt says is right."""
    receipt = place.read()
    if receipt is not None and receipt.status == "failed" and (obstacle := make_due(place)) is not None:
        raise AttnwatchError(obstacle)
