"""What an exported page holds: documents, maps and videos, each under a key by which the page asks for it."""

import gzip
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias
from urllib.parse import quote

from attnwatch.batches.videos import read_video
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.measures_document import MAX_MEASURES_BYTES
from attnwatch.contract.names import MEASURES_SUFFIX, printable
from attnwatch.contract.reading import read_bytes
from attnwatch.errors import AttnwatchError, ConfigError, UnknownNameError, nearest
from attnwatch.report.found_outputs import Surveyed
from attnwatch.web.details import detail_of
from attnwatch.web.documents import BatchesDocument, MapsRecord, VideoDetail, VideoRow
from attnwatch.web.export.bundle import size_of_page
from attnwatch.web.index.catalogue import Catalogue
from attnwatch.web.index.entries import Entry
from attnwatch.web.index.tree import Tree
from attnwatch.web.maps.asked import EACH, Asked
from attnwatch.web.maps.container import MOST_BYTES, container
from attnwatch.web.maps.tables import tables

Steps: TypeAlias = Literal["all", "mean"]

_VALUE = 2  # bytes of a value in a container
_ROW, _DETAIL = 1_000, 4_000  # bytes of what is said about a video, about


@dataclass(frozen=True)
class Selection:
    """What is exported.

    Attributes:
        videos: patterns of identifiers; empty for all.
        words: slugs or texts; empty for all.
        steps: `all` denoising steps that are stored, or only their `mean`.
        linked: whether videos stay where they are.

    """

    videos: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    steps: Steps = "all"
    linked: bool = False

    def takes(self, video_id: str) -> bool:
        """Return whether a video is exported."""
        return not self.videos or any(fnmatchcase(video_id, pattern) for pattern in self.videos)


class Part(NamedTuple):
    """One file of data: its key, and what returns its content; `packed` says whether that is compressed."""

    key: str
    read: Callable[[], bytes]
    packed: bool = True


@dataclass(frozen=True)
class Video:
    """A video that is exported: its entry, its manifest, and what is said about it."""

    entry: Entry
    manifest: Manifest
    detail: VideoDetail

    @property
    def has_film(self) -> bool:
        """Whether there is a video that browsers play."""
        return self.detail.playable


@dataclass
class Content:
    """All data of an exported page.

    Args:
        root: the folder that all of its videos are in.
        chosen: their manifests; None for all that are there.
        selection: what of them is exported.

    """

    root: Path
    chosen: Collection[Path] | None = None
    selection: Selection = field(default_factory=Selection)

    def __post_init__(self) -> None:
        self._surveyed = Surveyed.of(self.root)
        self._catalogue = Catalogue(self.root)
        for _ in Tree(self._catalogue, self._surveyed).walk():
            pass

    @cached_property
    def videos(self) -> list[Video]:
        """The videos that are exported.

        Raises:
            ConfigError: there is none.
            UnknownNameError: none of them tracks one of the words.

        """
        found = [video for summary in self._catalogue.summaries() for video in self._videos_of(summary.id)]
        if not found:
            asked = f" that matches {', '.join(self.selection.videos)}" if self.selection.videos else ""
            raise ConfigError(f"found no finished video{asked} in {self.root}; expected at least one to export")
        texts = {name for video in found for token in video.detail.tokens for name in (token.slug, token.text)}
        for word in self.selection.words:
            if word not in texts:
                near = ", ".join(nearest(word, sorted(texts), most=3, cutoff=0)) or "none"
                raise UnknownNameError(
                    f"found no video with the word {word!r}; expected a tracked word, nearest: {near}"
                )
        return found

    @property
    def size(self) -> int:
        """About how many bytes the folder will have."""
        size = 0
        for video in self.videos:
            maps = video.detail.maps.values()
            size += _ROW + _DETAIL + sum(_VALUE * _values(word.grid) * (1 + len(word.steps)) for word in maps)
            if video.has_film and not self.selection.linked:
                size += video.manifest.video.stat().st_size
        return size * 4 // 3 + len(_tables()) + size_of_page()

    def parts(self) -> Iterator[Part]:
        """Yield all data."""
        yield Part("tables", _tables)
        yield Part("batches", self._batches)
        for batch in {video.entry.batch: None for video in self.videos}:
            yield Part(f"batch-{batch}", partial(self._batch, batch))
        for video in self.videos:
            yield from self._parts_of(video)

    def _parts_of(self, video: Video) -> Iterator[Part]:
        name = video.entry.id
        yield Part(f"video-{name}", lambda: video.detail.model_dump_json().encode())
        yield Part(f"measures-{name}", lambda: self._measures(video))
        for word, stored in video.detail.maps.items():
            key = f"maps-{name}-{word.encode().hex()}"
            yield Part(f"{key}-mean", partial(container, video.manifest, word, Asked.of("mean")))
            several = _VALUE * _values(stored.grid) * len(stored.steps) > MOST_BYTES
            for steps in map(str, stored.steps) if several else [EACH] if stored.steps else []:
                yield Part(f"{key}-{steps}", partial(container, video.manifest, word, Asked.of(steps)))
        if video.has_film and not self.selection.linked:
            yield Part(f"film-{name}", lambda: _film(video), packed=False)

    def addresses(self, folder: Path) -> dict[str, str]:
        """Return where the videos are that stay where they are, as seen from a folder."""
        return {video.entry.id: _address(video, folder) for video in self.videos if video.has_film}

    def _videos_of(self, batch: str) -> Iterator[Video]:
        for entry in self._catalogue.entries(batch):
            wanted = self.chosen is None or entry.path in self.chosen
            if not (entry.is_made and wanted and self.selection.takes(entry.video_id)):
                continue
            try:
                manifest = read_video(entry.path, self._surveyed.root)
            except (AttnwatchError, OSError):  # it has nothing to be shown but that
                continue
            yield Video(entry, manifest, self._shortened(detail_of(entry, self._surveyed)))

    def _shortened(self, detail: VideoDetail) -> VideoDetail:
        """Return what is said about a video, without what is not exported."""
        chosen = {token.slug for token in detail.tokens if {token.slug, token.text} & {*self.selection.words}}
        words = [word for word in detail.words if not self.selection.words or word in chosen]
        maps = {word: self._stored(stored) for word, stored in detail.maps.items() if word in words}
        return detail.model_copy(
            update={"words": tuple(words), "maps": maps, "outputs": (), "measures": _of_words(detail.measures, words)}
        )

    def _stored(self, maps: MapsRecord) -> MapsRecord:
        steps = maps.steps if self.selection.steps == "all" else ()
        means = tuple(sorted({*maps.means, "layers", "heads", *(() if steps else ("steps",))}))
        return maps.model_copy(update={"layers": 1, "heads": 1, "means": means, "steps": steps})

    def _batches(self) -> bytes:
        listed = {video.entry.batch for video in self.videos}
        summaries = [self._counted(summary) for summary in self._catalogue.summaries(listed)]
        name = printable(self.root.name)
        document = BatchesDocument(revision=0, root=name, watcher=None, batches=())
        return json.dumps(document.model_dump(mode="json") | {"batches": summaries}).encode()

    def _counted(self, summary: Any) -> dict[str, Any]:  # noqa: ANN401 - a batch, as a model
        mine = [video for video in self.videos if video.entry.batch == summary.id]
        states = [video.detail.state for video in mine]
        counts = {state: states.count(state) for state in set(states)} | {"finished": len(mine), "unmade": 0}
        zero = dict.fromkeys(summary.model_dump()["counts"], 0)
        words = {word for video in mine for word in video.detail.words}
        listed = [word.model_dump() for word in summary.words if word.slug in words]
        about: dict[str, Any] = summary.model_dump(mode="json")
        return about | {"planned": len(mine), "counts": zero | counts, "words": listed}

    def _batch(self, identifier: str) -> bytes:
        (summary,) = self._catalogue.summaries([identifier])
        document = json.loads(self._catalogue.document(identifier) or b"{}")
        fields = set(VideoRow.model_fields)
        rows = [v.detail.model_dump(mode="json", include=fields) for v in self.videos if v.entry.batch == identifier]
        return json.dumps(document | self._counted(summary) | {"left_out": 0, "videos": rows}).encode()

    def _measures(self, video: Video) -> bytes:
        if video.entry.outputs is None:
            return b"null"
        path = video.entry.outputs / f"{video.entry.video_id}{MEASURES_SUFFIX}"
        try:
            found = json.loads(read_bytes(path, MAX_MEASURES_BYTES, root=self._surveyed.outputs))
            found["words"] = _of_words(found["words"], video.detail.words)
        except (AttnwatchError, OSError, ValueError, KeyError, TypeError, AttributeError):
            return b"null"
        return json.dumps(found).encode()


def _tables() -> bytes:
    return tables().model_dump_json().encode()


def packed(data: bytes) -> bytes:
    """Compress data; the same data always in the same way."""
    return gzip.compress(data, 6, mtime=0)


def _of_words(measures: Any, words: Sequence[str]) -> Any:  # noqa: ANN401 - JSON
    return None if measures is None else {word: found for word, found in measures.items() if word in words}


def _film(video: Video) -> bytes:
    with video.manifest.open_file(video.manifest.video) as file:
        return file.read()


def _address(video: Video, folder: Path) -> str:
    return quote(os.fsencode(os.path.relpath(video.manifest.video, folder)))


def _values(grid: tuple[int, int, int]) -> int:
    frames, rows, columns = grid
    return frames * rows * columns
