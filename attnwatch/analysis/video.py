"""All measures of one video, read from its tensors in one pass."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from attnwatch.analysis.pairwise import cosine_similarity, overlap
from attnwatch.analysis.spatial import Float64Array, Spatial, spatial, unsorted
from attnwatch.analysis.stepwise import SETTLED, FinalForm, settled_from
from attnwatch.analysis.temporal import Temporal, temporal
from attnwatch.tensors.reader import Part, WordMaps
from attnwatch.tensors.reduction import Float32Array

OfSteps: TypeAlias = Literal["measures", "settled"]
"""What is computed of single denoising steps: everything, or only from which one on the map has its final form."""


@dataclass(frozen=True)
class Steps:
    """The measures of a word over the denoising steps.

    Attributes:
        numbers: number of each stored step.
        frames: measures of each frame of each step, `[step, frame]`; None if they were not asked for.
        correlation: correlation of each step's map with that of the last stored one, `[step]`; NaN where there is none,
            or where it was not needed.
        settled: number of the first step from which on it is at least 0.9; None if there is none.

    """

    numbers: tuple[int, ...]
    frames: Spatial | None
    correlation: tuple[float, ...]
    settled: int | None


@dataclass(frozen=True)
class Parts:
    """The measures of a word by layer and head, as far as they are stored.

    Attributes:
        layers: measures of each layer's mean over steps and heads, `[layer, frame]`; None if layers are not stored.
        heads: measures of each head's mean over steps and layers, `[head, frame]`; None if heads are not stored.
        each: measures of each head's maps by name, as means over the steps and frames where they are defined,
            `[layer, head]`; of length 1 along an axis of which only the mean is stored. NaN where one never is.

    """

    layers: Spatial | None
    heads: Spatial | None
    each: dict[str, Float64Array]


@dataclass(frozen=True)
class WordMeasures:
    """All measures of one word.

    Attributes:
        grid: frames, height and width of its maps.
        frames: measures of each frame of its mean map, `[frame]`.
        over_time: measures of the sequence of these frames.
        steps: measures over the denoising steps; None if only the mean over them is stored.
        parts: measures by layer and head; None if neither is stored.

    """

    grid: tuple[int, int, int]
    frames: Spatial
    over_time: Temporal
    steps: Steps | None
    parts: Parts | None


@dataclass(frozen=True)
class PairMeasures:
    """How two words share the picture, in each frame of their mean maps: `[frame]`; see `pairwise`."""

    cosine_similarity: Float64Array
    overlap: Float64Array


@dataclass(frozen=True)
class VideoMeasures:
    """The measures of one video.

    Attributes:
        words: by slug, in prompt order.
        pairs: by the slugs of two words; without those whose maps have different grids.

    """

    words: dict[str, WordMeasures]
    pairs: dict[tuple[str, str], PairMeasures]


def measure_video(
    words: Mapping[str, WordMaps],
    seconds: Float64Array | None = None,
    *,
    masked: bool = False,
    steps: OfSteps | None = "measures",
    parts: bool = True,
    pairs: bool = True,
) -> VideoMeasures:
    """Measure the maps of one video.

    Args:
        words: the words to measure, by slug.
        seconds: time of each latent frame; None if unknown.
        masked: take values that are NaN or infinite for 0, as the setting `nonfinite: mask` does.
        steps: what to compute of single denoising steps. If the mean is stored, `settled` reads only the last ones, and
            None reads none.
        parts: measure single layers and heads too, which takes about 20 ns for each of their values.
        pairs: measure how each two words share the picture, too.

    Raises:
        TensorError: a value is negative, or not finite and not masked.

    """
    measured, means = {}, {}
    for slug, word in words.items():
        measured[slug], means[slug] = _word(word, seconds, masked=masked, of_steps=steps, with_parts=parts)
    return VideoMeasures(measured, dict(_pairs(means)) if pairs else {})


def _pairs(means: Mapping[str, Float32Array]) -> Iterable[tuple[tuple[str, str], PairMeasures]]:
    for (first, a), (second, b) in combinations(means.items(), 2):
        if a.shape == b.shape:
            yield (first, second), PairMeasures(cosine_similarity(a, b), overlap(a, b))


def _word(
    word: WordMaps, seconds: Float64Array | None, *, masked: bool, of_steps: OfSteps | None, with_parts: bool
) -> tuple[WordMeasures, Float32Array]:
    """Return the measures of a word, and its mean map."""
    has_steps = word.shape is not None and of_steps is not None and "steps" not in word.means
    has_parts = with_parts and word.shape is not None and not {"layers", "heads"} <= word.means
    parts = _PartsInTheMaking(word, masked=masked) if has_parts else None
    steps, mean = None, None
    with word.held() if has_steps or has_parts else nullcontext():
        if has_steps and of_steps == "settled" and parts is None:
            steps, mean = _settling(word, masked=masked)
        elif has_steps or has_parts:
            steps, mean = _steps(word, parts, masked=masked, measured=has_steps)
    if mean is None or word.has_mean:
        mean = word.frames(Part(masked=masked))
    frames, (_, height, width) = spatial(mean), word.grid
    measures = WordMeasures(
        word.grid,
        frames,
        temporal(frames, (width, height), seconds),
        steps=steps,
        parts=None if parts is None else parts.finished(),
    )
    return measures, mean


def _steps(
    word: WordMaps, parts: "_PartsInTheMaking | None", *, masked: bool, measured: bool
) -> tuple[Steps | None, Float32Array]:
    """Measure each step if asked, and add its layers and heads to `parts`; also return the mean of the steps."""
    steps = list(word.steps(Part(masked=masked)))
    final, total = FinalForm(steps[-1].mean()) if measured else None, np.zeros(word.grid)
    frames, correlation = [], []
    for position, step in enumerate(steps):
        maps = step.mean() if parts is None else parts.add(position)
        if final is not None:
            frames.append(spatial(maps))
            correlation.append(final.correlation(maps))
        total += maps
    found = None if final is None else _found(word, Spatial.stacked(frames), correlation)
    return found, (total / len(steps)).astype(np.float32)


def _settling(word: WordMaps, *, masked: bool) -> tuple[Steps, Float32Array | None]:
    """Compare steps from the last one back to where a word is not settled; return their mean too, if it is not stored.

    Earlier steps are then read for that mean alone.
    """
    steps = list(word.steps(Part(masked=masked)))
    final, total = FinalForm(steps[-1].mean()), None if word.has_mean else np.zeros(word.grid)
    correlation, is_settled = [np.nan] * len(steps), True
    for position in reversed(range(len(steps))):
        if not is_settled and total is None:
            break
        maps = steps[position].mean()
        if is_settled:
            correlation[position] = final.correlation(maps)
            is_settled = correlation[position] >= SETTLED
        if total is not None:
            total += maps
    return _found(word, None, correlation), None if total is None else (total / len(steps)).astype(np.float32)


def _found(word: WordMaps, frames: Spatial | None, correlation: Sequence[float]) -> Steps:
    settled = settled_from(correlation)
    number = None if settled is None else word.step_numbers[settled]
    return Steps(word.step_numbers, frames, tuple(correlation), number)


class _PartsInTheMaking:
    """Sums of the maps of each layer and each head, added step by step; holds one map of each, not all of them."""

    def __init__(self, word: WordMaps, *, masked: bool) -> None:
        assert word.shape is not None  # noqa: S101 - for the type checker: the caller checked it
        self._count, layers, heads, *_ = word.shape
        self._stored = {"layers", "heads"} - word.means
        self._maps = {
            (layer, head): list(
                word.steps(
                    Part(
                        layers=layer if "layers" in self._stored else None,
                        heads=head if "heads" in self._stored else None,
                        masked=masked,
                    )
                )
            )
            for layer in range(layers)
            for head in range(heads)
        }
        self._layers, self._heads = np.zeros((layers, *word.grid)), np.zeros((heads, *word.grid))
        self._each = _Means((layers, heads))

    def add(self, position: int) -> npt.NDArray[np.float64]:
        """Add the maps of a step, and return their mean: `[frame, height, width]`."""
        total = np.zeros(self._layers.shape[1:])
        for (layer, head), steps in self._maps.items():
            maps = steps[position].mean()
            self._layers[layer] += maps
            self._heads[head] += maps
            self._each.add((layer, head), unsorted(maps))
            total += maps
        return total / len(self._maps)

    def finished(self) -> Parts:
        """Return the measures of the means."""
        layers, heads = len(self._layers), len(self._heads)
        return Parts(
            layers=spatial(self._layers / (self._count * heads)) if "layers" in self._stored else None,
            heads=spatial(self._heads / (self._count * layers)) if "heads" in self._stored else None,
            each=self._each.value(),
        )


class _Means:
    """Means of measures over steps and frames, of those where they are defined, for each head of each layer."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._sums: dict[str, Float64Array] = {}
        self._counts: dict[str, Float64Array] = {}

    def add(self, place: tuple[int, int], measures: Mapping[str, Float64Array]) -> None:
        """Add the measures of a step's map, `[frame]` each."""
        for name, values in measures.items():
            defined = ~np.isnan(values)
            self._sums.setdefault(name, np.zeros(self._shape))[place] += values.sum(where=defined)
            self._counts.setdefault(name, np.zeros(self._shape))[place] += defined.sum()

    def value(self) -> dict[str, Float64Array]:
        """Return the means; NaN where nothing was defined."""
        with np.errstate(invalid="ignore"):
            return {name: sums / self._counts[name] for name, sums in self._sums.items()}
