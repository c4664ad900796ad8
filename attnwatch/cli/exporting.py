"""Exports the videos that are named on the command line."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attnwatch.batches.discover import find_videos
from attnwatch.batches.videos import outputs_of, read_video
from attnwatch.cli.lookup import named, root_of
from attnwatch.config import Settings
from attnwatch.contract.export_document import ExportDocument
from attnwatch.contract.receipts import describe
from attnwatch.errors import AttnwatchError, ConfigError
from attnwatch.render.export.video import Export
from attnwatch.report.log import counted


def export_each(
    given: Sequence[Path], settings: Settings, out: Path | None, asked: Mapping[str, Any]
) -> Iterator[tuple[str, bool]]:
    """Export videos, and yield a line about each, and whether it was exported.

    Args:
        given: videos, their manifests, folders or names of batches.
        settings: those of the command line and the environment; each batch's own count less.
        out: the folder for the exports; None for the one beside each video.
        asked: further fields of `Export`.

    Raises:
        ConfigError: at one of the given paths is no video.

    """
    paths = [path for one in given for path in _videos(one)]
    for path in dict.fromkeys(paths):
        name = outputs_of(path)[0]
        try:
            manifest = read_video(path)
            name = manifest.video_id
            pictures, _ = settings.for_batch(manifest.document.visualization, manifest.path)
            export = Export(manifest, pictures.per_video(), threads=settings.watcher.workers, **asked)
            document = export.write(out)
        except (AttnwatchError, OSError, MemoryError) as error:
            yield f"{name}: not exported: {describe(error)}", False
            continue
        yield f"{name}: {_what(document)} in {export.place(out) / export.name}", True


def _videos(path: Path) -> list[Path]:
    """Return what identifies the videos at a path; see `find_videos`."""
    found = list(find_videos(root_of(named(path))))
    if not found:
        raise ConfigError(f"found no finished video at {path}; expected a video, its manifest or a folder of videos")
    return found


def _what(document: ExportDocument) -> str:
    count = len(document.frames if document.content == "frames" else document.latent_frames)
    pictures = f"{counted(count, 'frame' if document.content == 'frames' else 'latent frame')}"
    return f"{counted(len(document.words), 'word')}, {pictures} of {document.width} x {document.height} pixels"
