"""One finished video: its words, their attention, and pictures of it."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from attnwatch.analysis.extras import extra
from attnwatch.batches.words import chosen_words, word_named
from attnwatch.contract.documents import ImageRecord
from attnwatch.contract.kinds import OutputKind, only
from attnwatch.contract.manifest import Manifest, verify
from attnwatch.errors import NotReadyError
from attnwatch.library.clip import Clip
from attnwatch.library.effective import effective
from attnwatch.library.figures import GridKind, ScaleKind, figure_of
from attnwatch.library.files import PathName
from attnwatch.library.html import card
from attnwatch.library.maps import Choice, open_maps, part_of
from attnwatch.render.colours import srgb
from attnwatch.render.export.formats import FormatName
from attnwatch.render.export.video import Export
from attnwatch.render.source import VideoSource
from attnwatch.render.video import render_outputs
from attnwatch.tensors.reduction import Float32Array

if TYPE_CHECKING:
    import xarray as xr

    from attnwatch.library.arrays import Chunks
    from attnwatch.render.plots.plot import Plot


@dataclass(frozen=True, repr=False)
class Video:
    """One finished video; `manifest.document` holds every field described in FORMAT.md."""

    manifest: Manifest

    def __repr__(self) -> str:
        return f"<Video {self.video_id!r}>"

    def _repr_html_(self) -> str:
        return card(self.manifest, self.manifest.document.texts.values())

    @property
    def video_id(self) -> str:
        """Name of the video in its batch."""
        return self.manifest.video_id

    @property
    def prompt(self) -> str | None:
        """Prompt of the video; None if the manifest does not state it."""
        return self.manifest.document.generation.prompt

    @property
    def seed(self) -> int | None:
        """Seed of the video; None if the manifest does not state it."""
        return self.manifest.document.generation.seed

    @property
    def choices(self) -> tuple[str, ...]:
        """What stands in each slot of the template, in order; then the image's name, if there were several."""
        return self.manifest.document.generation.choices or ()

    @property
    def image(self) -> ImageRecord | None:
        """The image that the video begins with: `path`, `name`, `sha256`, `width` and `height`; None without one."""
        return self.manifest.document.generation.image

    @property
    def last_image(self) -> ImageRecord | None:
        """The image that it ends with; None without one."""
        return self.manifest.document.generation.last_image

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """Numbers of the stored denoising steps; empty if only their mean is stored. Raises as `words`."""
        with open_maps(self.manifest) as reader:
            return next((word.step_numbers for word in reader.words.values()), ())

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Slugs of the tracked words, in prompt order. Raises `NotReadyError` and `TensorError`, like `attention`."""
        with open_maps(self.manifest) as reader:
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
        part = replace(part_of(step, layer, head), masked=masked)
        with open_maps(self.manifest) as reader:
            maps = word_named(word, self.manifest, reader.words)
            # A map stored as float32 is returned as a read-only view of the file, so copy it for the caller.
            return maps.frames(part).copy()

    def maps(self, word: str, *, frames: bool = False, masked: bool = False, chunks: "Chunks" = None) -> "xr.DataArray":
        """Return everything that is stored of a word, labelled: float32 `[step, layer, head, frame, y, x]`.

        Nothing is read until values are needed, and then only the selected ones, such as those of
        `video.maps("kiss").sel(layer=3).mean("head")`. An axis of which only the mean is stored has length 1 and no
        labels. Steps are labelled with `timestep`, `sigma` and `model` too, frames with `seconds`; `y` and `x` are
        places of the centres of cells, 0 to 1.

        Args:
            word: slug of the word, or its text if no other word has the same.
            frames: return a map for each frame of the video, interpolated, instead of one for each latent frame.
            masked: as for `attention`, but each value that is NaN or infinite is NaN.
            chunks: return an array of dask in these chunks, such as `{"step": 1}`.

        Raises:
            UnknownNameError: (a `KeyError`) no word has this name; the message lists the tracked words.
            ConfigError: xarray is not installed, or dask is asked for and not installed.
            NotReadyError, TensorError, VideoError: a file is missing, breaks the contract, or cannot be read.

        """
        extra("xarray")
        from attnwatch.library.arrays import WordOfVideo, labelled  # noqa: PLC0415 - imports xarray

        stored = WordOfVideo.of(self.manifest, word, frames=frames, masked=masked)
        return labelled([stored], chunks).isel(video=0)

    def source(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the frames of the video as shown, in sRGB: uint8 `[height, width, 3]`.

        Raises:
            NotReadyError: the video is missing.
            VideoError: it cannot be decoded.

        """
        try:
            file = self.manifest.open_file(self.manifest.video)
        except FileNotFoundError as error:
            path = self.manifest.video
            raise NotReadyError(f"{path}: found nothing; expected the video there; restore it") from error
        with file:
            source = VideoSource(file, str(self.manifest.video), turns=True)
            for frame in source.frames():
                if frame.picture is not None:
                    yield srgb(frame.picture, source.timeline.colours)

    def export(
        self,
        kind: FormatName = "exr",
        directory: PathName | None = None,
        *,
        words: str | Sequence[str] | None = None,
        grid: bool = False,
        first_number: int = 1,
        **settings: Any,  # noqa: ANN401 - see `render_video`
    ) -> Path:
        """Write the maps for compositing programs, as `attnwatch export` does, and return their folder.

        Args:
            kind: `exr`, `png16` or `prores4444`.
            directory: where that folder is to be; None for `attention_videos/export/` beside the video.
            words: slugs or texts of the words; None for all.
            grid: a picture for each latent frame, a pixel for each cell.
            first_number: number of the first image.
            settings: by name; those apply that GUIDE.md lists.

        Raises:
            UnknownNameError: (a `KeyError`) no word has one of these names; the message lists the tracked words.
            ConfigError: a setting is invalid, or something else has the name of the folder.
            NotReadyError, ContractError, VideoError: a file is missing, breaks the contract, or cannot be decoded.
            JobError: the disk has no room for the files.

        """
        pictures, watcher = effective(self.manifest, settings)
        chosen = (words,) if isinstance(words, str) else words
        export = Export(self.manifest, pictures, kind, grid, chosen, first_number, watcher.workers)
        out = None if directory is None else Path(directory)
        export.write(out)
        return export.place(out) / export.name

    def overlay(self, word: str, **settings: Any) -> Clip:  # noqa: ANN401 - see `render_video`
        """Render a word's attention over the video for display in a notebook; write nothing beside the video.

        Takes the settings of `render_video`. Raises the errors of `attention` and `render_video`.
        """
        with open_maps(self.manifest) as reader:
            slug = word_named(word, self.manifest, reader.words).slug
        return self._clip(OutputKind.OVERLAY, (slug,), slug, settings)

    def combined(self, *words: str, **settings: Any) -> Clip:  # noqa: ANN401 - see `render_video`
        """Render up to six words over the video, each in a hue of its own; the first six tracked ones if none is given.

        Takes the settings of `render_video`, of which `colormap` and `overlay` do not apply. Writes and raises as
        `overlay` does, but without the video, the words are over black.
        """
        with open_maps(self.manifest) as reader:
            slugs = tuple(word.slug for word in chosen_words(words, self.manifest, reader.words))
        return self._clip(OutputKind.COMBINED, slugs, OutputKind.COMBINED, settings)

    def _clip(self, kind: OutputKind, slugs: tuple[str, ...], token: str, settings: Mapping[str, Any]) -> Clip:
        pictures, watcher = effective(self.manifest, settings)
        verify(self.manifest, video_may_be_absent=not kind.needs_source)
        with tempfile.TemporaryDirectory(prefix="attnwatch-") as folder:
            asked = only(kind, pictures)
            rendering = render_outputs(self.manifest, asked, Path(folder), tokens=slugs, threads=watcher.workers)
            (output,) = (output for output in rendering.outputs if output.token == token)
            return Clip(output.file, output.path.read_bytes())

    def figure(
        self,
        *words: str,
        at: float | str | Sequence[float | str] | None = None,
        step: Choice = None,
        layer: Choice = None,
        head: Choice = None,
        grid: GridKind | None = None,
        moments: int | None = None,
        scale: ScaleKind = "shared",
        size: float = 7.0,
        dpi: int = 300,
        title: bool = True,
        **settings: Any,  # noqa: ANN401 - a setting's own type
    ) -> "Plot":
        """Draw words over one moment of the video, or a grid of maps, as a figure of matplotlib for a paper.

        A notebook shows it. Its `save("figure.pdf")` writes PNG, PDF or SVG, as `attnwatch still` does.

        Args:
            words: slugs or texts of the words; none for all that are tracked. Grids of steps, layers or heads take one.
            at: the moment: seconds, `"1.5s"`, a frame such as `"24f"` (the first is 1), or `"mean"` for the mean over
                time. None for the middle. Grids of frames and steps take several.
            step: denoising steps to average, or to show in a grid of steps; as for `attention`.
            layer: layers to average, or to show in a grid of layers or heads; `"mean"` shows only their mean there.
            head: heads, in the same way.
            grid: `"frames"`: words as rows, moments as columns; `"steps"`: denoising steps as rows, moments as columns;
                `"layers"` or `"heads"`: these as rows, the other ones as columns, if both are stored;
                `"paths"`: where the centre of the attention to each word moves, over the frame of one moment.
            moments: number of evenly spaced moments in grids of frames and steps.
            scale: `"shared"`: one colour scale in the whole figure; `"each"`: one for each word, step, layer or head.
            size: width in inches; text has the same size in points whatever it is.
            dpi: pixels per inch of the pictures in a saved file.
            title: whether to print the prompt, and what is shown, above the pictures.
            settings: settings of pictures, such as `overlay="contour"`; see `render_video`.

        Raises:
            ConfigError: an argument is invalid, beyond the end of the video, or asks for what is not stored.
            UnknownNameError, NotReadyError, ContractError, VideoError: as for `attention` and `overlay`.

        """
        pictures, _ = effective(self.manifest, settings)
        asked = {"grid": grid, "moments": moments, "scale": scale, "size": size, "dpi": dpi, "title": title}
        return figure_of(self.manifest, pictures, words, at=at, step=step, layer=layer, head=head, asked=asked)
