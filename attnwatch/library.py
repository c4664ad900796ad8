"""Python API for notebooks and scripts: attention as numpy arrays, overlays to display, and rendering on request."""

import logging
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from attnwatch.batches.discover import find_videos, manifest_of
from attnwatch.batches.videos import identifier_of, open_attention, outputs_of, read_video, why_no_words
from attnwatch.config import load_settings
from attnwatch.contract.kinds import OutputKind, only
from attnwatch.contract.manifest import Manifest, verify
from attnwatch.contract.names import is_manifest
from attnwatch.contract.receipts import Place
from attnwatch.errors import BusyError, ConfigError, JobError, NotReadyError, UnknownNameError, nearest
from attnwatch.jobs.video import Job, run
from attnwatch.render.video import render_outputs
from attnwatch.settings import Visualization, Watcher
from attnwatch.system.exclusion import Exclusion
from attnwatch.system.files import move_into_place, write_file
from attnwatch.system.folders import Folder
from attnwatch.system.roots import Root
from attnwatch.tensors.reader import AttentionReader, Part, WordMaps
from attnwatch.tensors.reduction import Float32Array

PathName: TypeAlias = str | PathLike[str]
Choice: TypeAlias = int | str | Sequence[int] | None  # one, a range such as "0-9" (ends included), several, or all

_AXES = {"steps": "step", "layers": "layer", "heads": "head"}
_log = logging.getLogger(__name__)


def open(folder: PathName, *, exclude: Sequence[str] = ()) -> "Batch":  # noqa: A001 - read as `attnwatch.open`
    """Find the videos finished at or below a folder; reads none of them. Raises `ConfigError` if it is missing.

    `exclude` leaves out folders and videos: patterns of names, or of paths below the folder, as for the command line.
    """
    path = Path(folder).absolute()
    if not path.exists():
        raise ConfigError(f"found nothing at {path}; expected a batch or another folder of videos; check the path")
    patterns = load_settings(None, {"exclude": list(exclude)}, {}, spell_flag=str).watcher.exclude
    return Batch(path, Root(path, excluded=Exclusion(patterns)))


class Batch(Mapping[str, "Video"]):
    """Finished videos by `video_id`, in order of path. A manifest is read when its video is accessed.

    A video whose manifest cannot be read is listed under its default name; accessing it raises `ManifestError`.

    Raises:
        UnknownNameError: (a `KeyError`) no video has this name; the message lists the nearest ones.
        ConfigError: two videos have the same name, as in a folder of several batches.

    """

    def __init__(self, folder: Path, start: Root | None = None) -> None:
        self.folder = folder
        self._names: dict[Path, str | None] = dict.fromkeys(find_videos(folder, start))
        self._likely: dict[str, list[Path]] = {}
        for path in self._names:
            self._likely.setdefault(outputs_of(path)[0], []).append(path)

    def __repr__(self) -> str:
        return f"<Batch {str(self.folder)!r}: {len(self):,} videos>"

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        seen: dict[str, Path] = {}
        for path in self._names:
            name = self._name(path)
            if seen.setdefault(name, path) != path:
                raise self._ambiguous(name, seen[name], path)
            yield name

    def __contains__(self, video_id: object) -> bool:
        return bool(self._find(video_id))

    def __getitem__(self, video_id: str) -> "Video":
        paths = self._find(video_id)
        if not paths:
            names = [self._name(path) for path in self._names]
            near = ", ".join(nearest(str(video_id), names, most=3, cutoff=0))
            expected = f"one of {len(names):,}, nearest: {near}" if names else "a finished video, but there is none"
            raise UnknownNameError(f"{self.folder}: found no video {video_id!r}; expected {expected}")
        if len(paths) > 1:
            raise self._ambiguous(video_id, *paths[:2])
        return Video(read_video(paths[0]))

    def _find(self, video_id: object) -> list[Path]:
        """Return the videos with an identifier: those with this default name if any match, else after reading all."""
        likely = [path for path in self._likely.get(str(video_id), ()) if self._name(path) == video_id]
        return likely or [path for path in self._names if self._name(path) == video_id]

    def _name(self, path: Path) -> str:
        name = self._names[path]
        if name is None:
            name = self._names[path] = identifier_of(path)
        return name

    def _ambiguous(self, name: str, *paths: Path) -> ConfigError:
        places = " and ".join(str(path.relative_to(self.folder)) for path in paths)
        return ConfigError(f"{self.folder}: found {name!r} twice, in {places}; expected one batch; open one of them")


@dataclass(frozen=True, repr=False)
class Video:
    """One finished video; `manifest.document` holds every field described in FORMAT.md."""

    manifest: Manifest

    def __repr__(self) -> str:
        return f"<Video {self.video_id!r}>"

    @property
    def video_id(self) -> str:
        """Name of the video in its batch."""
        return self.manifest.video_id

    @property
    def prompt(self) -> str | None:
        """Prompt of the video; None if the manifest does not state it."""
        return self.manifest.document.generation.prompt

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Slugs of the tracked words, in prompt order. Raises `NotReadyError` and `TensorError`, like `attention`."""
        with _reader(self.manifest) as reader:
            return tuple(reader.words)

    def attention(
        self, word: str, *, step: Choice = None, layer: Choice = None, head: Choice = None, masked: bool = False
    ) -> Float32Array:
        """Return a word's mean attention over the selection: float32 `[frame, y, x]` on the latent grid.

        Args:
            word: slug of the word, or its text if no other word has the same.
            step: denoising steps, numbered as in the manifest; negative numbers count from the end; None for all.
            layer: layers by position; None for all.
            head: heads by position; None for all.
            masked: accept values that are NaN or infinite: the mean is NaN at each cell that has one.

        Raises:
            UnknownNameError: (a `KeyError`) no word has this name; the message lists the tracked words.
            ConfigError: a selected step, layer or head is not stored.
            NotReadyError: a tensor file is missing.
            TensorError: a tensor file breaks the contract.

        """
        part = replace(_part(step, layer, head), masked=masked)
        with _reader(self.manifest) as reader:
            maps = self._select(reader, word)
            # A map stored as float32 is returned as a read-only view of the file, so copy it for the caller.
            return maps.frames(part).copy()

    def overlay(self, word: str, **settings: Any) -> "Clip":  # noqa: ANN401 - see `render_video`
        """Render a word's attention over the video for display in a notebook; write nothing beside the video.

        Takes the settings of `render_video`. Raises the errors of `attention` and `render_video`.
        """
        with _reader(self.manifest) as reader:
            slug = self._select(reader, word).slug
        pictures, watcher = _effective(self.manifest, settings)
        verify(self.manifest, video_may_be_absent=False)
        with tempfile.TemporaryDirectory(prefix="attnwatch-") as folder:
            asked = only(OutputKind.OVERLAY, pictures)
            rendering = render_outputs(self.manifest, asked, Path(folder), tokens=(slug,), threads=watcher.workers)
            (output,) = (output for output in rendering.outputs if output.token == slug)
            return Clip(output.file, output.path.read_bytes())

    def _select(self, reader: AttentionReader, word: str) -> WordMaps:
        if word in reader.words:
            return reader.words[word]
        texts = self.manifest.document.texts
        found = {slug: maps for slug, maps in reader.words.items() if word in (texts.get(slug), maps.name)}
        if len(found) == 1:
            return found.popitem()[1]
        expected = (
            f"one of: {', '.join(found or reader.words)}" if reader.words else f"none: {why_no_words(self.manifest)}"
        )
        raise UnknownNameError(f"{self.video_id}: found {len(found) or 'no'} words {word!r}; expected {expected}")


@dataclass(frozen=True)
class Clip:
    """A rendered video that notebooks display: `data` is H.264 in MP4, `name` is the file name used by the watcher."""

    name: str
    data: bytes = field(repr=False)

    def _repr_html_(self) -> str:
        source = f"data:video/mp4;base64,{b64encode(self.data).decode()}"
        return f'<video controls loop title="{escape(self.name)}" style="max-width: 100%" src="{source}"></video>'

    def save(self, path: PathName) -> Path:
        """Write the file atomically and return its path."""
        write_file(Path(path), self.data)
        return Path(path)


def render_video(
    video: Video | Manifest | PathName,
    directory: PathName | None = None,
    **settings: Any,  # noqa: ANN401 - a setting's own type
) -> tuple[Path, ...]:
    """Render all words of a video in this process, even if rendered before, and return the paths of the outputs.

    Args:
        video: the video, its manifest, or the path of either.
        directory: folder for the outputs. None for the video's own `attention_videos`, with lock and receipt like the
            watcher; a watcher with different settings renders them again.
        settings: by name, as in a configuration file. They override environment variables, which override the batch's
            own. `workers` is the number of words encoded at the same time; `visualization_timeout` is ignored.

    Raises:
        ConfigError: the video does not exist, or a setting is unknown or invalid.
        BusyError: another process is rendering the video's own outputs.
        JobError: the video's own outputs cannot be rendered. With another `directory`, the cause is raised instead:
        NotReadyError, ContractError, VideoError: a file is missing, breaks the contract, or cannot be decoded.

    """
    manifest = _manifest(video)
    effective = _effective(manifest, settings)
    if directory is None or Path(directory).resolve() == manifest.output_directory.resolve():
        return _render_beside(manifest, *effective)
    return _render_into(Path(directory), manifest, *effective)


def _render_beside(manifest: Manifest, pictures: Visualization, watcher: Watcher) -> tuple[Path, ...]:
    place = Place(manifest.path, manifest.video_id, manifest.output_directory, root=manifest.outputs_root)
    result = run(Job(place, place.look(), pictures, None, watcher, video_may_be_absent=True, threads=watcher.workers))
    if result.receipt is None:
        raise (BusyError if result.busy else JobError)(result.obstacle)
    if result.receipt.status == "failed":
        raise JobError(f"{manifest.video_id}: not rendered: {result.receipt.attempts[-1].error}")
    _log_notes(manifest, result.receipt.notes)
    return tuple(place.directory / output.file for output in result.receipt.outputs)


def _render_into(directory: Path, manifest: Manifest, pictures: Visualization, watcher: Watcher) -> tuple[Path, ...]:
    verify(manifest, video_may_be_absent=True)
    directory.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=".attnwatch-", dir=directory) as path,
        Folder.open(Path(path)) as temporary,
        Folder.open(directory) as folder,
    ):
        rendering = render_outputs(manifest, pictures, temporary.path, threads=watcher.workers)
        for output in rendering.outputs:
            move_into_place(output.path.name, temporary, folder, output.file)
        folder.sync()
    _log_notes(manifest, rendering.notes)
    return tuple(directory / output.file for output in rendering.outputs)


def _manifest(video: Video | Manifest | PathName) -> Manifest:
    if isinstance(video, (Video, Manifest)):
        return video.manifest if isinstance(video, Video) else video
    if is_manifest((path := manifest_of(Path(video).absolute())).name) and path.is_file():
        return read_video(path)
    raise ConfigError(f"found no manifest for {path}; expected a finished video or its manifest; check the path")


def _effective(manifest: Manifest, chosen: Mapping[str, Any]) -> tuple[Visualization, Watcher]:
    settings = load_settings(None, chosen, spell_flag=str)
    pictures, notes = settings.for_batch(manifest.document.visualization, manifest.path)
    _log_notes(manifest, notes)
    return pictures.per_video(), settings.watcher


def _part(*choices: Choice) -> Part:
    chosen = dict(zip(_AXES, choices, strict=True))
    valid = Visualization(**load_settings(None, chosen, {}, spell_flag=_AXES.__getitem__).visualization)
    return Part(valid.steps, valid.layers, valid.heads)


def _reader(manifest: Manifest) -> AttentionReader:
    for path in manifest.attention:
        if not path.exists():
            raise NotReadyError(f"{manifest.path}: found no {path.name}; expected the tensor file there; restore it")
    return open_attention(manifest)


def _log_notes(manifest: Manifest, notes: Sequence[str]) -> None:
    for note in notes:
        _log.warning("%s: %s", manifest.video_id, note)
