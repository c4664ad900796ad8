"""Exports the videos that are named on the command line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnwatch.batches.videos import outputs_of, read_video
from attnwatch.cli.lookup import videos
from attnwatch.config import Settings
from attnwatch.contract.export_document import ExportDocument
from attnwatch.contract.receipts import describe
from attnwatch.errors import AttnwatchError
from attnwatch.render.export.video import Export
from attnwatch.report.log import counted


@dataclass(frozen=True)
class Exported:
    """Result for one video.

    Attributes:
        line: what was exported, or why nothing was.
        done: whether it was exported.
        notes: what was done differently, and why.

    """

    line: str
    done: bool
    notes: tuple[str, ...] = ()


def export_each(
    given: Sequence[Path], settings: Settings, out: Path | None, asked: Mapping[str, Any]
) -> Iterator[Exported]:
    """Export videos, and yield the result for each.

    Args:
        given: videos, their manifests, folders, names of batches, or patterns of names of videos in one of these.
        settings: those of the command line and the environment; each batch's own count less.
        out: the folder for the exports; None for the one beside each video.
        asked: further fields of `Export`.

    Raises:
        ConfigError: at one of the given paths is no video.

    """
    for path in videos(*given):
        name = outputs_of(path)[0]
        try:
            manifest = read_video(path)
            name = manifest.video_id
            pictures, notes = settings.for_batch(manifest.document.visualization, manifest.path)
            export = Export(manifest, pictures.per_video(), threads=settings.watcher.workers, **asked)
            document = export.write(out)
        except (AttnwatchError, OSError, MemoryError) as error:
            reason = describe(error).removeprefix(f"{name}: ")
            yield Exported(f"{name}: not exported: {reason}", done=False)
            continue
        where = export.place(out) / export.name
        yield Exported(f"{name}: {_what(document)} in {where}", done=True, notes=(*notes, *document.notes))


def _what(document: ExportDocument) -> str:
    count = len(document.frames if document.content == "frames" else document.latent_frames)
    pictures = f"{counted(count, 'frame' if document.content == 'frames' else 'latent frame')}"
    return f"{counted(len(document.words), 'word')}, {pictures} of {document.width} x {document.height} pixels"
