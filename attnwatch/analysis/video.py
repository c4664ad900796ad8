"""All measures of one video, read from its tensors in one pass."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from attnwatch.analysis.pairwise import cosine_similarity, overlap
from attnwatch.analysis.spatial import Float64Array, Spatial, concentration, spatial
from attnwatch.analysis.stepwise import FinalForm, settled_from
from attnwatch.analysis.temporal import Temporal, temporal
from attnwatch.tensors.reader import Part, WordMaps
from attnwatch.tensors.reduction import Float32Array


@dataclass(frozen=True)
class Steps:
    """The measures of a word over the denoising steps.

    Attributes:
        numbers: number of each stored step.
        frames: measures of each frame of each step, `[step, frame]`.
        correlation: correlation of each step's map with that of the last stored one, `[step]`.
        settled: number of the first step from which on it is at least 0.9; None if there is none.

    """

    numbers: tuple[int, ...]
    frames: Spatial
    correlation: tuple[float, ...]
    settled: int | None


@dataclass(frozen=True)
class Parts:
    """The measures of a word by layer and head, as far as they are stored.

    Attributes:
        layers: measures of each layer's mean over steps and heads, `[layer, frame]`; None if layers are not stored.
        heads: measures of each head's mean over steps and layers, `[head, frame]`; None if heads are not stored.
        focus: how concentrated the attention of each head is: the mean of its maps' concentration over steps and
            frames, `[layer, head]`; of length 1 along an axis of which only the mean is stored.

    """

    layers: Spatial | None
    heads: Spatial | None
    focus: Float64Array


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
    steps: bool = True,
    parts: bool = True,
    pairs: bool = True,
) -> VideoMeasures:
    """Measure the maps of one video.

    Args:
        words: the words to measure, by slug.
        seconds: time of each latent frame; None if unknown.
        masked: take values that are NaN or infinite for 0, as the setting `nonfinite: mask` does.
        steps: measure single denoising steps too.
        parts: measure single layers and heads too, which takes about 20 ns for each of their values.
        pairs: measure how each two words share the picture, too.

    Raises:
        TensorError: a value is negative, or not finite and not masked.

    """
    measured, means = {}, {}
    for slug, word in words.items():
        measured[slug], means[slug] = _word(word, seconds, masked=masked, with_steps=steps, with_parts=parts)
    return VideoMeasures(measured, dict(_pairs(means)) if pairs else {})


def _pairs(means: Mapping[str, Float32Array]) -> Iterable[tuple[tuple[str, str], PairMeasures]]:
    for (first, a), (second, b) in combinations(means.items(), 2):
        if a.shape == b.shape:
            yield (first, second), PairMeasures(cosine_similarity(a, b), overlap(a, b))


def _word(
    word: WordMaps, seconds: Float64Array | None, *, masked: bool, with_steps: bool, with_parts: bool
) -> tuple[WordMeasures, Float32Array]:
    """Return the measures of a word, and its mean map."""
    has_steps = word.shape is not None and (with_steps or with_parts)
    has_parts = with_parts and word.shape is not None and not {"layers", "heads"} <= word.means
    parts = _PartsInTheMaking(word, masked=masked) if has_parts else None
    steps, mean = _steps(word, parts, masked=masked) if has_steps else (None, None)
    if mean is None or word.has_mean:
        mean = word.frames(Part(masked=masked))
    frames, (_, height, width) = spatial(mean), word.grid
    measures = WordMeasures(
        word.grid,
        frames,
        temporal(frames, (width, height), seconds),
        steps=None if "steps" in word.means else steps,
        parts=None if parts is None else parts.finished(),
    )
    return measures, mean


def _steps(word: WordMaps, parts: "_PartsInTheMaking | None", *, masked: bool) -> tuple[Steps, Float32Array]:
    """Measure each step, and add its layers and heads to `parts`; also return the mean of the steps."""
    steps = list(word.steps(Part(masked=masked)))
    final, total = FinalForm(steps[-1].mean()), np.zeros(word.grid)
    measured, correlation = [], []
    for position, step in enumerate(steps):
        maps = step.mean() if parts is None else parts.add(position)
        measured.append(spatial(maps))
        correlation.append(final.correlation(maps))
        total += maps
    settled = settled_from(correlation)
    found = Steps(
        word.step_numbers,
        Spatial.stacked(measured),
        tuple(correlation),
        None if settled is None else word.step_numbers[settled],
    )
    return found, (total / len(steps)).astype(np.float32)


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
        self._focus = np.zeros((layers, heads))

    def add(self, position: int) -> npt.NDArray[np.float64]:
        """Add the maps of a step, and return their mean: `[frame, height, width]`."""
        total = np.zeros(self._layers.shape[1:])
        for (layer, head), steps in self._maps.items():
            maps = steps[position].mean()
            self._layers[layer] += maps
            self._heads[head] += maps
            self._focus[layer, head] += concentration(maps).mean()
            total += maps
        return total / len(self._maps)

    def finished(self) -> Parts:
        """Return the measures of the means."""
        layers, heads = self._focus.shape
        return Parts(
            layers=spatial(self._layers / (self._count * heads)) if "layers" in self._stored else None,
            heads=spatial(self._heads / (self._count * layers)) if "heads" in self._stored else None,
            focus=self._focus / self._count,
        )
