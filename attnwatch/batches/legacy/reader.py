"""Reads the tensors of an older video as the attention maps of each tracked word, float32."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from attnwatch.batches.legacy.arrays import StoredArray
from attnwatch.batches.legacy.files import WordFiles, words_in
from attnwatch.batches.legacy.grid import Grid, Size, latent_grid
from attnwatch.batches.legacy.probe import probe
from attnwatch.contract.manifest import Manifest
from attnwatch.errors import Problem, TensorError
from attnwatch.tensors.reader import AttentionReader, WordMaps
from attnwatch.tensors.reduction import Float32Array, Stored, valid

_SPATIAL = {1: 0, 2: 0, 3: 1, 4: 2}  # index of the spatial axis by rank; full rank: [blocks, heads, spatial, tokens]
_FULL_RANK = 4


@dataclass(frozen=True)
class OldTensor:
    """One file of an older batch, presented as a tensor of the contract.

    Attributes:
        path: the file.
        shape: `(1, layer, head, frame, height, width)`.

    """

    path: Path
    shape: tuple[int, ...]
    _array: StoredArray
    _axis: int

    def stored(self) -> Iterator[Stored]:
        """Yield the stored map of each layer and head, flat; sub-tokens of a word are summed."""
        for values in self._array.maps(self._axis):
            checked = valid(values, self.path, self.path.name)
            if checked.size > prod(self.shape[-3:]):
                floats = checked.view(np.float16) if self.kind == "F16" else checked
                checked = floats.reshape(prod(self.shape[-3:]), -1).sum(axis=1, dtype=np.float32).astype(floats.dtype)
            yield checked

    @property
    def kind(self) -> str:
        """Element type, `F16` or `F32`."""
        return self._array.kind

    def read(self, *index: int, masked: bool = False) -> Float32Array:
        """Return the mean over layers and heads, or the map at one index: float32 `[frame, height, width]`."""
        if index:
            return self.mean([index], masked=masked)
        return self._array.means(self._axis, masked=masked).reshape(self.shape[-3:])

    def held(self) -> None:
        """Hold nothing; see `Tensor.held`."""

    def mean(self, indices: Sequence[tuple[int, ...]], *, masked: bool = False) -> Float32Array:
        """Return the mean of the maps at the given (step, layer, head): float32 `[frame, height, width]`."""
        _, layers, heads = self.shape[:3]
        numbers = np.ravel_multi_index(tuple(np.transpose(indices)), (1, layers, heads))
        return self._array.means(self._axis, numbers.tolist(), masked=masked).reshape(self.shape[-3:])


class OldReader(AttentionReader):
    """The tensors of one older video; a context manager.

    Attributes:
        words: attention of each tracked word, by slug, in prompt order.
        tensors: steps and aggregated map of each word, by slug.

    Raises:
        TensorError: a file is damaged or has an unexpected shape or element type, or its grid is unknown.
        VideoError: the grid must be taken from the video file, which cannot be read.

    """

    def __init__(self, manifest: Manifest) -> None:
        self._video: Size | None = None
        self._grids: dict[int, Grid] = {}
        self._maps_root = manifest.maps or manifest.root
        self.tensors: dict[str, tuple[tuple[OldTensor, ...], OldTensor | None]] = {}
        super().__init__(manifest)

    def _read_words(self) -> dict[str, WordMaps]:
        files = words_in(self._manifest.attention, self._maps_root)
        slugs = {token.text: token.slug for token in self._manifest.document.tokens}
        return {slug: self._maps(slug, files[text]) for text, slug in slugs.items() if text in files}

    def _maps(self, slug: str, files: WordFiles) -> WordMaps:
        steps = [self._tensor(self._array(path)) for path in files.steps.values()]
        for step in steps:
            if step.shape != steps[0].shape:
                found, expected = f"shape {list(step.shape)}", f"{list(steps[0].shape)}, as in {steps[0].path.name}"
                raise TensorError(_problem(step.path, found, expected))
        known = steps[0].shape[-3:] if steps else None
        aggregate = self._tensor(self._array(files.aggregate), known) if files.aggregate else None
        frames, height, width = next(tensor for tensor in (*steps, aggregate) if tensor).shape[-3:]
        self.tensors[slug] = (tuple(steps), aggregate)
        return WordMaps(slug, slug, (frames, height, width), tuple(files.steps), tuple(steps), aggregate)

    def _array(self, path: str) -> StoredArray:
        return StoredArray.open(Path(path), self._manifest.open_file)

    def _tensor(self, array: StoredArray, grid: tuple[int, ...] | None = None) -> OldTensor:
        axis = self._spatial_axis(array, prod(grid) if grid else None)
        is_full = axis == _SPATIAL[_FULL_RANK]
        maps = array.shape[:axis] if is_full else (prod(array.shape[:axis]), 1)
        return OldTensor(array.path, (1, *maps, *self._grid(array, array.shape[axis])), array, axis)

    def _spatial_axis(self, array: StoredArray, length: int | None) -> int:
        """Return the index of the spatial axis; aggregated maps may lack the other axes."""
        usual = _SPATIAL.get(len(array.shape))
        if usual is not None and length in (None, array.shape[usual]):
            return usual
        fitting = [axis for axis, size in enumerate(array.shape) if size == length]
        if len(fitting) == 1:
            return fitting[0]
        expected = "[blocks, heads, spatial, tokens]" + (f" with spatial = {length:,}" if length else "")
        raise TensorError(_problem(array.path, f"shape {list(array.shape)}", expected))

    def _grid(self, array: StoredArray, spatial: int) -> Grid:
        """Return the grid behind a spatial axis: the manifest's if it has one, else an inferred one."""
        stated = self._manifest.document.grid
        if stated is not None and stated.frames * stated.height * stated.width == spatial:
            return stated.frames, stated.height, stated.width
        if spatial not in self._grids:
            made = self._manifest.document.generation
            recorded = Size(made.frames, made.height, made.width)
            try:
                self._grids[spatial] = latent_grid(spatial, recorded, self._video_size())
            except ValueError as error:
                expected = (
                    "a number that fits exactly one grid, "
                    "or metadata with video_frames, video_height and video_width to choose one"
                )
                raise TensorError(_problem(array.path, str(error), expected)) from None
        return self._grids[spatial]

    def _video_size(self) -> Size:
        if self._video is None:
            self._video = probe(self._manifest) if self._manifest.video.is_file() else Size()
        return self._video


def _problem(path: Path, found: str, expected: str) -> Problem:
    remedy = "write it again, or convert the batch by hand as described in FORMAT.md"
    return Problem(file=path, field="the file itself", found=found, expected=expected, remedy=remedy)
