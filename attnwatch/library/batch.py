"""The finished videos of a folder, by name."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from html import escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from attnwatch.analysis.comparison import compare
from attnwatch.analysis.extras import extra
from attnwatch.analysis.formats import data_frame
from attnwatch.analysis.named import USUAL
from attnwatch.analysis.table import Level, Row, Table
from attnwatch.batches.discover import find_videos
from attnwatch.batches.named import named
from attnwatch.batches.videos import identifier_of, outputs_of, read_video
from attnwatch.config import load_settings
from attnwatch.contract.manifest import Manifest
from attnwatch.errors import AttnwatchError, ConfigError, UnknownNameError, nearest
from attnwatch.jobs.measures import measures_at
from attnwatch.jobs.tables import tables_of
from attnwatch.library.comparing import BatchComparison
from attnwatch.library.effective import effective, require_settings
from attnwatch.library.files import PathName
from attnwatch.library.html import card
from attnwatch.library.video import Video
from attnwatch.system.exclusion import Exclusion
from attnwatch.system.roots import Root

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from attnwatch.library.arrays import Chunks

_MOST_SHOWN = 12  # videos of a batch in a notebook


def open(  # noqa: A001 - read as `attnwatch.open`
    folder: PathName, *, exclude: Sequence[str] = (), rendered_in: PathName | None = None
) -> "Batch":
    """Find the videos finished at or below a folder; reads none of them.

    Args:
        folder: the folder, or the name of a batch in `outputs` or in the current folder, of which the newest counts.
        exclude: folders and videos to leave out: patterns of names, or of paths below the folder, as for the command
            line.
        rendered_in: folder of outputs, if the watcher was started with `--out`: `table` and `compare` use the measures
            in it.

    Raises:
        ConfigError: there is no such folder or batch, or a pattern is wrong.

    """
    path = named(Path(folder)).absolute()
    patterns = load_settings(None, {"exclude": list(exclude)}, {}, spell_flag=str).watcher.exclude
    outputs = None if rendered_in is None else Path(rendered_in).absolute()
    if outputs is not None and not outputs.is_dir():
        raise ConfigError(f"rendered_in: found no folder {outputs}; expected that of the outputs; check the path")
    return Batch(path, Root(path, excluded=Exclusion(patterns)), rendered_in=outputs)


class Batch(Mapping[str, Video]):
    """Finished videos by `video_id`, in order of path. A manifest is read when its video is accessed.

    A video whose manifest cannot be read is listed under its default name; accessing it raises `ManifestError`.

    Raises:
        UnknownNameError: (a `KeyError`) no video has this name; the message lists the nearest ones.
        ConfigError: two videos have the same name, as in a folder of several batches.

    """

    def __init__(
        self,
        folder: Path,
        start: Root | None = None,
        paths: Iterable[Path] | None = None,
        rendered_in: Path | None = None,
    ) -> None:
        self.folder, self._rendered_in = folder, rendered_in
        self._names: dict[Path, str | None] = dict.fromkeys(find_videos(folder, start) if paths is None else paths)
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

    def __getitem__(self, video_id: str) -> Video:
        paths = self._find(video_id)
        if not paths:
            names = [self._name(path) for path in self._names]
            near = ", ".join(nearest(str(video_id), names, most=3, cutoff=0))
            expected = f"one of {len(names):,}, nearest: {near}" if names else "a finished video, but there is none"
            raise UnknownNameError(f"{self.folder}: found no video {video_id!r}; expected {expected}")
        if len(paths) > 1:
            raise self._ambiguous(video_id, *paths[:2])
        return Video(read_video(paths[0]))

    def compare(
        self, by: int | str, *, word: str | None = None, measure: str | Sequence[str] | None = None
    ) -> BatchComparison:
        """Compare where attention is between the choices in a slot of the template, as `attnwatch compare` does.

        Args:
            by: number of the slot, from 1; `model`; `image`; or `batch`, in a folder of several.
            word: slug or text of a word; `slot:1` for the one in slot 1, whichever it is; None for the only one that
                all videos have.
            measure: names of measures, see MEASURES.md; None for mass, concentration, spread and speed.

        Raises:
            ConfigError: no two choices can be compared, a measure is unknown, it is not clear which word is meant, or
                the extra `attnwatch[measure]` is not installed.
            UnknownNameError: (a `KeyError`) no video has this word.

        """
        for library in ("scipy.stats", "pandas"):  # before videos are measured, which may take long
            extra(library)
        measures = (measure,) if isinstance(measure, str) else measure or USUAL
        return BatchComparison(compare(self._rows("video"), by, word=word, measures=measures), self._rows)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def _repr_html_(self) -> str:
        cards = []
        for path in islice(self._names, _MOST_SHOWN):
            with contextlib.suppress(AttnwatchError, OSError):
                manifest = read_video(path)
                cards.append(card(manifest, manifest.document.texts.values()))
        more = len(self) - _MOST_SHOWN
        rest = f"<p>and {more:,} more</p>" if more > 0 else ""
        return f"<div><p>{escape(str(self.folder))}: {len(self):,} videos</p>{''.join(cards)}{rest}</div>"

    def where(
        self,
        *,
        choice: str | Sequence[str] | None = None,
        seed: int | Sequence[int] | None = None,
        word: str | Sequence[str] | None = None,
        model: str | Sequence[str] | None = None,
        image: str | Sequence[str] | None = None,
    ) -> "Batch":
        """Return the videos that have one of the given values in each respect; reads all manifests.

        Args:
            choice: what stands in a slot of the template.
            seed: the seed.
            word: slug or text of a tracked word.
            model: name of the model.
            image: name or path of the file that the video begins with.

        Raises:
            ManifestError: a manifest cannot be read.

        """
        asked = [_several(values) for values in (choice, seed, word, model, image)]
        return Batch(
            self.folder,
            paths=[
                path
                for path in self._names
                if all(
                    values is None or values & found
                    for values, found in zip(asked, _properties(read_video(path)), strict=True)
                )
            ],
            rendered_in=self._rendered_in,
        )

    def table(
        self,
        level: Level = "video",
        words: str | Sequence[str] | None = None,
        **settings: Any,  # noqa: ANN401 - see `render_video`
    ) -> "pd.DataFrame":
        """Measure all videos, rendered or not, and return one tidy table, as `attnwatch measure` does.

        Videos that cannot be measured are logged, and left out.

        Args:
            level: what a row is, beside a word of a video: `video`, `frame`, `step` or `head`; GUIDE.md explains.
            words: slugs or texts of the words; None for all.
            settings: by name; `nonfinite` has an effect.

        Raises:
            ConfigError: pandas is not installed, there is no such level or setting, or no video could be measured.
            UnknownNameError: (a `KeyError`) no video has one of the words.

        """
        if level not in get_args(Level):
            raise ConfigError(f"level: found {level!r}; expected one of: {', '.join(get_args(Level))}")
        require_settings(settings, ("level", "words"))
        extra("pandas")
        asked = (words,) if isinstance(words, str) else words
        table, missed = self._measured(level, settings, asked)
        if missed and not table.length:
            raise ConfigError(f"{self.folder}: found no video that can be measured; expected one; the log says why")
        return data_frame(table)

    def maps(self, word: str, *, frames: bool = False, masked: bool = False, chunks: "Chunks" = None) -> "xr.DataArray":
        """Return the maps of a word in all videos that track it, with a first dimension `video`; see `Video.maps`.

        Videos are labelled with `seed` and the choices of the template, `choice_1`, ..., too.

        Raises:
            ConfigError: maps have different shapes; or as for `Video.maps`.
            UnknownNameError: (a `KeyError`) no video tracks the word.

        """
        extra("xarray")
        from attnwatch.library.arrays import WordOfVideo, labelled  # noqa: PLC0415 - imports xarray

        stored, missing = [], None
        for video in self.values():
            try:
                stored.append(WordOfVideo.of(video.manifest, word, frames=frames, masked=masked))
            except UnknownNameError as error:
                missing = error
        if not stored:
            raise missing or UnknownNameError(f"{self.folder}: found no video; expected at least one")
        return labelled(stored, chunks)

    def _rows(self, level: Level) -> list[Row]:
        """Return the rows of the table of all videos."""
        return list(self._measured(level, {})[0].rows())

    def _measured(
        self, level: Level, settings: Mapping[str, Any], words: Sequence[str] | None = None
    ) -> tuple[Table, int]:
        """Return the table of all videos, and how many could not be measured."""
        paths, measure = list(self._names), partial(measures_at, rendered_in=self._rendered_in)
        (table,), missed = tables_of(paths, [level], lambda one: effective(one, settings)[0], words, measure=measure)
        return table, missed

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


def _several(values: Any) -> set[Any] | None:  # noqa: ANN401 - of any type
    if values is None:
        return None
    return {values} if isinstance(values, str | int) else set(values)


def _properties(manifest: Manifest) -> tuple[set[Any], ...]:
    """Return the choices, the seed, the words, the model and the image of a video."""
    generation, texts = manifest.document.generation, manifest.document.texts
    image = set() if generation.image is None else {generation.image.name, generation.image.path}
    return set(generation.choices or ()), {generation.seed}, {*texts, *texts.values()}, {generation.model}, image
