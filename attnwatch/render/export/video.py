"""Exports the maps of one video."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnwatch.batches.videos import open_attention
from attnwatch.batches.words import chosen_words
from attnwatch.contract.export_document import ExportDocument
from attnwatch.contract.manifest import Manifest, verify
from attnwatch.errors import ConfigError
from attnwatch.render.export.document import describe
from attnwatch.render.export.formats import FORMATS, FormatName
from attnwatch.render.export.moments import moments_of
from attnwatch.render.export.place import document_name, new_export, require_space
from attnwatch.render.export.scene import Scene
from attnwatch.render.source import AbsentSource, open_source
from attnwatch.settings import Visualization
from attnwatch.system.folders import Folder, LinkError
from attnwatch.tensors.reader import WordMaps

FOLDER = "export"
"""Folder of exports in the folder of a video's outputs."""

_ALLOWANCE = 1.1  # for pictures that are larger than those that were measured
_REST = 2**20  # bytes for what else is written


@dataclass(frozen=True)
class Export:
    """What is to be exported of a video, and how.

    Attributes:
        manifest: manifest of the finished video.
        settings: those of `attnwatch.settings.effects.ON_EXPORTS` apply.
        kind: name of the file format.
        grid: a picture for each latent frame, with a pixel for each cell; else one for each frame, of the same size.
        words: slugs or texts of the words; None for all.
        first_number: number of the first image.
        threads: number of pictures that are encoded at the same time.

    """

    manifest: Manifest
    settings: Visualization
    kind: FormatName
    grid: bool = False
    words: Collection[str] | None = None
    first_number: int = 1
    threads: int = 1

    @property
    def name(self) -> str:
        """Name of the folder of the export."""
        return f"{self.manifest.video_id}_{self.kind}{'_grid' if self.grid else ''}"

    def place(self, out: Path | None) -> Path:
        """Return the folder that the export's own folder is in: `out`, or the usual one if it is None."""
        return self.manifest.output_directory / FOLDER if out is None else out

    def write(self, out: Path | None = None) -> ExportDocument:
        """Write the files, and the document about them, into the export's own folder; return the document.

        Raises:
            UnknownNameError: no word has one of the names; the message lists the tracked words.
            ConfigError: the format is unknown, or there is no film of the grid; a requested step, layer or head is not
                stored; or something else has the name of the folder.
            NotReadyError, ContractError, VideoError: a file is missing, breaks the contract, or cannot be decoded.
            BusyError: another process is exporting this.
            JobError: the disk has no room for the files.
            OSError: something cannot be read or written; nothing is left of the export then.

        """
        if self.kind not in FORMATS:
            raise ConfigError(f"kind: found {self.kind!r}; expected one of: {', '.join(FORMATS)}")
        if self.grid and FORMATS[self.kind].is_film:
            raise ConfigError(f"grid: found it with {self.kind}, which is a film; expected images: png16 or exr")
        verify(self.manifest, video_may_be_absent=True)
        with open_attention(self.manifest) as reader:
            words = chosen_words(self.words or (), self.manifest, reader.words)
            scene, notes = self._scene(words)
            measured = {word.slug: scene.measure(word) for word in words}
            document = describe(scene, words, measured, self.first_number, notes)
            needed = _ALLOWANCE * sum(word.bytes for word in measured.values()) + _REST
            digest = None if out is None else self.manifest.sha256
            with (
                self._opened(out) as parent,
                new_export(parent, self.name, self.manifest.video_id, digest) as folder,
            ):
                require_space(parent, needed, self.name)
                for word in words:
                    scene.write(word, folder, self.first_number, self.threads)
                folder.write(document_name(self.manifest.video_id), document.model_dump_json(indent=1).encode())
        return document

    def _scene(self, words: Sequence[WordMaps]) -> tuple[Scene, tuple[str, ...]]:
        """Decode the video, and return what all words have in common, with notes about the video."""
        notes = self.manifest.notes
        with open_source(self.manifest, words[0].grid, turns=self.settings.rotation == "apply") as source:
            moments = moments_of(source)
            if isinstance(source, AbsentSource):
                notes = (
                    *notes,
                    f"the video {self.manifest.video.name} is absent: size and times are as its manifest says",
                )
            kind = FORMATS[self.kind]
            return Scene(self.manifest, self.settings, kind, self.grid, source.timeline, source.size, moments), notes

    def _opened(self, out: Path | None) -> Folder:
        place = self.place(out)
        try:
            if out is None:
                return self.manifest.outputs_root.folder(place, create=True, parents=True)
            place.mkdir(parents=True, exist_ok=True)
            return Folder.open(place)
        except LinkError:
            raise ConfigError(f"{place}: found a link; expected a folder; name where it leads to with --out") from None
        except (FileExistsError, NotADirectoryError):
            raise ConfigError(f"{place}: found a file; expected a folder, or nothing; name another --out") from None
