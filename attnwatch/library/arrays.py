"""Attention as labelled arrays of xarray: lazy, read from the tensor files when values are needed."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from attnwatch.batches.words import word_named
from attnwatch.contract.manifest import Manifest
from attnwatch.errors import ConfigError
from attnwatch.library.maps import open_maps
from attnwatch.render.alignment import Alignment
from attnwatch.render.source import read_timeline
from attnwatch.tensors.reader import Part, WordMaps
from attnwatch.tensors.reduction import Float32Array

DIMS = ("video", "step", "layer", "head", "frame", "y", "x")
_AXES = {"steps": "step", "layers": "layer", "heads": "head"}

Chunks = int | str | Mapping[str, Any] | None
Labels = dict[str, tuple[str, Sequence[Any]]]


@dataclass(frozen=True)
class WordOfVideo:
    """The maps of a word of one video, not read yet.

    Attributes:
        manifest: of the video.
        word: slug of the word.
        shape: number of steps, layers, heads, frames, rows and columns.
        means: axes of which only the mean is stored: `steps`, `layers`, `heads`.
        masked: accept values that are NaN or infinite, as NaN.
        labels: coordinates by name: the dimension, and a value for each place along it.
        alignment: what each frame of the video shows, for a map for each of them; None for one for each latent frame.

    """

    manifest: Manifest
    word: str
    shape: tuple[int, ...]
    means: frozenset[str]
    masked: bool
    labels: Labels
    alignment: Alignment | None = None

    @classmethod
    def of(cls, manifest: Manifest, word: str, *, frames: bool, masked: bool) -> "WordOfVideo":
        """Look at the maps without reading them.

        Raises:
            UnknownNameError: (a `KeyError`) no word has this name; the message lists the tracked words.
            NotReadyError, TensorError, VideoError: a file is missing, breaks the contract, or cannot be read.

        """
        with open_maps(manifest) as reader:
            maps = word_named(word, manifest, reader.words)
        timeline = read_timeline(manifest, maps.grid)
        alignment = timeline.alignment(manifest.document)
        latent, height, width = maps.grid
        seconds = timeline.seconds if frames else alignment.latent_seconds(latent, timeline.seconds)
        shape = (*(maps.shape or (1, 1, 1))[:3], len(seconds), height, width)
        means = frozenset(_AXES) if maps.shape is None else maps.means
        labels: Labels = {
            **_labels_of_steps(manifest, maps, means),
            **{_AXES[axis]: (_AXES[axis], range(shape[at])) for at, axis in enumerate(_AXES) if axis not in means},
            "frame": ("frame", range(len(seconds))),
            "seconds": ("frame", seconds.tolist()),
            "y": ("y", ((np.arange(height) + 0.5) / height).tolist()),
            "x": ("x", ((np.arange(width) + 0.5) / width).tolist()),
        }
        labels |= {"step": ("step", maps.step_numbers)} if "steps" not in means else {}
        return cls(manifest, maps.slug, shape, means, masked, labels, alignment if frames else None)

    def read(self, places: Sequence[Sequence[int]]) -> Float32Array:
        """Return the maps at some steps, layers, heads, frames, rows and columns, in the order of each."""
        steps, layers, heads, frames, rows, columns = places
        found = np.empty([len(some) for some in places], np.float32)
        with open_maps(self.manifest) as reader:
            for (j, layer), (k, head) in product(enumerate(layers), enumerate(heads)):
                map_of = self._map_of_step(reader.words[self.word], layer, head)
                for i, step in enumerate(steps):
                    latent = map_of(step)
                    shown = latent[frames] if self.alignment is None else self.alignment.moments(latent, frames)
                    found[i, j, k] = shown[:, rows][:, :, columns]
        return found

    def _map_of_step(self, maps: WordMaps, layer: int, head: int) -> Callable[[int], Float32Array]:
        """Return what reads the map of a layer and head at a step: `[frame, height, width]`."""
        if maps.shape is None:
            return lambda _: maps.frames(Part(masked=self.masked))
        layers, heads = (None if axis in self.means else at for axis, at in (("layers", layer), ("heads", head)))
        steps = list(maps.steps(Part(layers=layers, heads=heads, masked=self.masked)))
        return lambda step: steps[step].mean()


def labelled(words: Sequence[WordOfVideo], chunks: Chunks = None) -> xr.DataArray:
    """Return the maps of a word in several videos: float32 `[video, step, layer, head, frame, y, x]`.

    Labels along other dimensions than `video` are those that all videos share.

    Raises:
        ConfigError: the videos have maps of different shapes, or dask is asked for and not installed.

    """
    first = words[0]
    for other in words[1:]:
        if (other.shape, other.means) != (first.shape, first.means):
            raise ConfigError(
                f"found maps of {other.shape} values in {other.manifest.video_id} and of {first.shape} in "
                f"{first.manifest.video_id} (steps, layers, heads, frames, rows, columns); expected the same in all "
                "videos; choose those that have them with `where`, or take `maps` of each video"
            )
    shared = {
        name: (dim, list(values))
        for name, (dim, values) in first.labels.items()
        if all(list(word.labels.get(name, ("", ()))[1]) == list(values) for word in words)
    }
    lazy = indexing.LazilyIndexedArray(_Stored(words))
    array = xr.DataArray(
        xr.Variable(DIMS, lazy), coords={**shared, **_labels_of_videos(words)}, name=first.word, attrs=_about(first)
    )
    return array if chunks is None else _chunked(array, chunks)


class _Stored(BackendArray):
    """The stored values of several videos, as xarray reads them."""

    def __init__(self, words: Sequence[WordOfVideo]) -> None:
        self._words = words
        self.shape = (len(words), *words[0].shape)
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:  # noqa: ANN401 - as xarray has it
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[int | slice, ...]) -> Float32Array:
        places = [
            list(range(size))[one] if isinstance(one, slice) else [one]
            for one, size in zip(key, self.shape, strict=True)
        ]
        read = [self._words[video].read(places[1:]) for video in places[0]]
        found = np.stack(read) if read else np.empty([len(some) for some in places], np.float32)
        return np.asarray(found[tuple(slice(None) if isinstance(one, slice) else 0 for one in key)])


def _labels_of_steps(manifest: Manifest, maps: WordMaps, means: frozenset[str]) -> Labels:
    listed = manifest.document.denoising
    if "steps" in means or len(listed) != len(maps.step_numbers):
        return {}
    stated = {"timestep": [one.timestep for one in listed], "sigma": [one.sigma for one in listed]}
    numbers: Labels = {
        name: ("step", [np.nan if value is None else value for value in values]) for name, values in stated.items()
    }
    return numbers | {"model": ("step", [one.model or "" for one in listed])}


def _labels_of_videos(words: Sequence[WordOfVideo]) -> dict[Hashable, tuple[str, list[Any]]]:
    made = [word.manifest.document.generation for word in words]
    slots = max(len(one.choices or ()) for one in made)
    choices = {
        f"choice_{slot + 1}": [(*(one.choices or ()), *("",) * slots)[slot] for one in made] for slot in range(slots)
    }
    seeds = [np.nan if one.seed is None else one.seed for one in made]
    columns: dict[str, list[Any]] = {"video": [word.manifest.video_id for word in words], "seed": seeds, **choices}
    return {name: ("video", values) for name, values in columns.items()}


def _about(word: WordOfVideo) -> dict[str, Any]:
    text = word.manifest.document.texts.get(word.word, word.word)
    means = [_AXES[axis] for axis in _AXES if axis in word.means]
    return {"long_name": f"attention to {text}", "units": "probability", "mean_over": ", ".join(means)}


def _chunked(array: xr.DataArray, chunks: Chunks) -> xr.DataArray:
    try:
        return array.chunk(chunks)
    except ImportError as error:
        raise ConfigError(
            "chunks: found no dask; expected it; install it (pip install 'attnwatch[dask]'), or leave chunks out"
        ) from error
