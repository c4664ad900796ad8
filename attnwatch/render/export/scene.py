"""The pictures of an export: which values they show, at which size, and the files that they go into."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from attnwatch.contract.export_document import NUMBER
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.names import export_prefix
from attnwatch.render.alignment import Alignment
from attnwatch.render.enlarge import Enlarger
from attnwatch.render.export.files import Encoder, Film, Images, Pictures
from attnwatch.render.export.formats import Format
from attnwatch.render.export.moments import Moment
from attnwatch.render.maps import Scale, part_of, to_levels
from attnwatch.render.timeline import Timeline
from attnwatch.settings import Visualization
from attnwatch.system.folders import Folder
from attnwatch.tensors.reader import WordMaps
from attnwatch.tensors.reduction import Float32Array

_SAMPLES = 3  # pictures of each word that are encoded to estimate the size of all


@dataclass(frozen=True)
class Measured:
    """What is known about a word before it is exported.

    Attributes:
        scale: attention at the ends of the scale.
        masked: number of cells that are NaN or infinite, over all pictures.
        bytes: estimated size of its files.

    """

    scale: Scale
    masked: int
    bytes: int


@dataclass(frozen=True)
class _Maps:
    """The maps of a word, one for each picture.

    Attributes:
        values: attention, or positions between the ends of the scale, `[picture, rows, columns]`.
        scale: attention at the ends of the scale.
        masked: number of values that stand for NaN or infinite ones.

    """

    values: Float32Array
    scale: Scale
    masked: int


@dataclass(frozen=True)
class Scene:
    """What all words of an export have in common.

    Attributes:
        manifest: manifest of the video.
        settings: which maps are meant, how they are enlarged, and the scale.
        kind: file format.
        grid: whether there is a picture for each latent frame, with a pixel for each cell.
        timeline: timing of the video.
        size: width and height of the video.
        moments: when each of its frames is shown.

    """

    manifest: Manifest
    settings: Visualization
    kind: Format
    grid: bool
    timeline: Timeline
    size: tuple[int, int]
    moments: Sequence[Moment]

    @cached_property
    def alignment(self) -> Alignment:
        """Which generated frames the frames of the video show."""
        return self.timeline.alignment(self.manifest.document)

    def picture_size(self, word: WordMaps) -> tuple[int, int]:
        """Return the width and height of the pictures of a word."""
        _, rows, columns = word.grid
        return (columns, rows) if self.grid else self.size

    def pixel_aspect(self, word: WordMaps) -> Fraction:
        """Return the width of a pixel divided by its height; in the grid, a pixel is a cell."""
        (wide, high), (width, height) = self.picture_size(word), self.size
        return self.timeline.pixel_aspect * Fraction(width * high, height * wide)

    def files(self, word: WordMaps) -> str:
        """Return the name of the film of a word, or the pattern of the names of its images."""
        number = "" if self.kind.is_film else f".{NUMBER}"
        return f"{export_prefix(self.manifest.video_id)}{word.slug}{number}.{self.kind.suffix}"

    def measure(self, word: WordMaps) -> Measured:
        """Measure the maps of a word, and encode some of its pictures to estimate the size of all."""
        maps = self._maps(word)
        count = len(maps.values)
        some = maps.values[np.linspace(0, count - 1, min(_SAMPLES, count), dtype=np.intp)]
        largest = max(len(self._encoder(word).alone(picture)) for picture in self._pictures(word, some))
        return Measured(maps.scale, maps.masked, largest * count)

    def write(self, word: WordMaps, folder: Folder, first_number: int, threads: int) -> None:
        """Write the files of a word.

        Args:
            word: the word.
            folder: the folder to write to.
            first_number: number of the first image.
            threads: number of pictures that are encoded at the same time.

        """
        values = self._maps(word).values
        moments = [None] * len(values) if self.grid else self.moments
        with self._files(word, folder, first_number, threads) as files:
            for picture, moment in zip(self._pictures(word, values), moments, strict=True):
                files.write(picture, moment)

    def _files(self, word: WordMaps, folder: Folder, first_number: int, threads: int) -> Pictures:
        encoder = self._encoder(word, threads)
        if self.kind.is_film:
            return Film(folder, self.files(word), encoder, self.timeline)
        return Images(folder, self.files(word), encoder, first_number)

    def _encoder(self, word: WordMaps, threads: int = 1) -> Encoder:
        return Encoder(self.kind, self.picture_size(word), self.pixel_aspect(word), self.timeline.rate, threads)

    def _maps(self, word: WordMaps) -> _Maps:
        settings = self.settings
        latent = word.frames(part_of(settings))
        values = latent if self.grid else self.alignment.maps(latent, settings.interpolation_steps)
        nonfinite = np.isnan(values)
        # One scale for all frames, and no value moved within it: what is exported stays proportional to attention.
        plain = settings.model_copy(update={"normalization": "video", "threshold": 0.0, "invert": False})
        levels = to_levels(values, plain)
        if self.kind.levels is not None:
            values = levels.shares
        elif nonfinite.any():
            values = np.where(nonfinite, np.float32(levels.scale.low), values)
        return _Maps(values, levels.scale, int(np.count_nonzero(nonfinite)))

    def _pictures(self, word: WordMaps, values: Float32Array) -> Iterator[Float32Array]:
        """Yield maps at the size of the pictures."""
        if self.grid:
            yield from values
            return
        enlarge = Enlarger(word.grid[1:], self.picture_size(word), self.settings.upsampling)
        most = None if self.kind.levels is None else 1
        for one in values:
            yield np.clip(enlarge(one), 0, most)
