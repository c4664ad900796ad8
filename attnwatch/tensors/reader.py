"""Reads the tensor files of a video as the attention maps of each tracked word, float32.

Nothing here holds more than one layer of one denoising step in memory, regardless of file size.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from attnwatch.contract.manifest import Manifest
from attnwatch.contract.names import MAX_WORDS, UNCONDITIONAL_PREFIX, unique_slugs
from attnwatch.errors import ConfigError, Problem, TensorError
from attnwatch.tensors.choices import Choice, selected
from attnwatch.tensors.file import StoredTensor, Tensor, open_tensors
from attnwatch.tensors.reduction import Float32Array, problem

AGGREGATED_SUFFIX = ".aggregated"
RESERVED_PREFIX = "__"
POSITIONS_PREFIX = "uncond@"
"""Of whatever has, in the unconditional branch, the positions of a word of the prompt."""

_STEP_AXES = "[step, layer, head, frame, height, width]"
_FRAME_AXES = "[frame, height, width]"
_STEP_RANK, _FRAME_RANK = 6, 3
_STORING = {
    "steps": "number the step in the manifest's `denoising`",
    "layers": "store them (attention_analysis: store_per_block: true)",
    "heads": "store them (attention_analysis: store_per_head: true)",
}
"""By axis, what lets single ones be selected: the generator's setting, or what another writer has to write."""


@dataclass(frozen=True)
class Part:
    """The stored denoising steps, layers and heads to average; None selects a whole axis.

    A number selects one (negative numbers count from the end), `"3-9"` a range including both ends, a tuple several.
    Steps are numbered as in the manifest's `denoising`, layers and heads by their position. With `masked`, values that
    are NaN or infinite are accepted: a cell that has one in any of the selected maps is NaN in their mean.
    """

    steps: Choice = None
    layers: Choice = None
    heads: Choice = None
    masked: bool = False

    @property
    def is_everything(self) -> bool:
        """Whether every step, layer and head is selected."""
        return (self.steps, self.layers, self.heads) == (None, None, None)


ALL = Part()


@dataclass(frozen=True)
class WordMaps:
    """The attention of one tracked word.

    Attributes:
        name: name of the word's tensors.
        slug: name of the word's outputs.
        grid: latent `(frames, height, width)`.
        step_numbers: number of each stored denoising step; empty if only the aggregated map is stored.
        means: axes of which only the mean is stored, so nothing can be selected: `steps`, `layers`, `heads`.

    """

    name: str
    slug: str
    grid: tuple[int, int, int]
    step_numbers: tuple[int, ...]
    _steps: tuple[Tensor, ...]
    _aggregated: Tensor | None
    means: frozenset[str] = frozenset()

    @property
    def shape(self) -> tuple[int, ...] | None:
        """`(step, layer, head, frame, height, width)`; None if only the aggregated map is stored."""
        if not self._steps:
            return None
        return (len(self.step_numbers), *self._steps[0].shape[1:])

    @property
    def has_mean(self) -> bool:
        """Whether the mean over all steps, layers and heads is stored, so that `frames` takes a single read."""
        return self._aggregated is not None

    def frames(self, part: Part = ALL) -> Float32Array:
        """Return the mean over the selected steps, layers and heads: float32 `[frame, height, width]`.

        If everything is selected and an aggregated map is stored, return that map: it also covers the steps that were
        not stored, and takes a single read.

        Raises:
            TensorError: a value is negative, or not finite and not masked.
            ConfigError: a selected step, layer or head is not stored.

        """
        if self._aggregated is not None and part.is_everything:
            return self._aggregated.read(masked=part.masked)
        total = np.zeros(self.grid, dtype=np.float64)
        steps = list(self.steps(part))
        for step in steps:
            held = step.held()  # while the next step is in the same file, that stays open
            total += step.mean()
        del held
        return (total / len(steps)).astype(np.float32)

    def steps(self, part: Part = ALL) -> Iterator["Step"]:
        """Yield the selected denoising steps in order, without reading them.

        Raises:
            ConfigError: a selected step, layer or head is not stored.

        """
        shape = self.shape
        if shape is None:
            raise ConfigError(
                f"{self.slug}: found only the aggregated map; expected a map for each denoising step; "
                "store them (attention_analysis: store_attention: true), or select no steps, layers or heads"
            )
        for axis in ("steps", "layers", "heads"):
            self._require_more_than_mean(axis, getattr(part, axis))
        layers = selected("layers", part.layers, range(shape[1]))
        heads = selected("heads", part.heads, range(shape[2]))
        sources = [(tensor, index) for tensor in self._steps for index in range(tensor.shape[0])]
        for position in selected("steps", part.steps, self.step_numbers):
            tensor, index = sources[position]
            yield Step(self.step_numbers[position], tensor, index, layers, heads, part.masked)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep the file of the steps open meanwhile, if it is only one: opening it takes longer than reading a step.

        Raises:
            NotReadyError: the file has changed since it was opened.
            OSError: the file cannot be read.

        """
        held = [tensor.held() for tensor in self._steps] if len(self._steps) == 1 else []
        yield
        held.clear()

    def _require_more_than_mean(self, axis: str, choice: Choice) -> None:
        if choice is not None and axis in self.means:
            raise ConfigError(
                f"{axis}: found {choice!r}, but {self.slug} has one map for all {axis}, their mean; expected a map for "
                f"each; {_STORING[axis]}, or select no {axis}"
            )


@dataclass(frozen=True)
class Step:
    """One denoising step of one word.

    Attributes:
        number: number of the step, from 0.

    """

    number: int
    _tensor: Tensor
    _index: int
    _layers: Sequence[int]
    _heads: Sequence[int]
    _masked: bool

    def held(self) -> object:
        """Return what keeps the file of the step open as long as it lives; see `Tensor.held`."""
        return self._tensor.held()

    def mean(self) -> Float32Array:
        """Return the mean over layers and heads: float32 `[frame, height, width]`."""
        indices = [(self._index, layer, head) for layer in self._layers for head in self._heads]
        return self._tensor.mean(indices, masked=self._masked)


class AttentionReader:
    """The tensor files of one video, open for reading; a context manager.

    Attributes:
        words: attention of each tracked word, by slug, in prompt order.

    Raises:
        TensorError: a file is not a valid safetensors file, or a tensor has a wrong type, rank or shape.

    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.words = self._read_words()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.words = {}  # dropping the tensors unmaps the files

    def _read_words(self) -> dict[str, WordMaps]:
        steps: dict[str, list[StoredTensor]] = {}
        aggregated: dict[str, StoredTensor] = {}
        listed = set(self._listed())
        for path in self._manifest.attention:
            for tensor in open_tensors(path, self._manifest.open_file):
                name = tensor.name.removesuffix(AGGREGATED_SUFFIX)
                if name not in listed and name.startswith((RESERVED_PREFIX, UNCONDITIONAL_PREFIX, POSITIONS_PREFIX)):
                    continue
                _check_kind_and_rank(tensor)
                if name == tensor.name:
                    steps.setdefault(name, []).append(tensor)
                elif name in aggregated:
                    found = f"a second aggregated map (the first is in {aggregated[name].path.name})"
                    raise TensorError(problem(path, tensor.name, found, "the aggregated map in one file only"))
                else:
                    aggregated[name] = tensor
        names = self._in_prompt_order(dict.fromkeys([*steps, *aggregated]))
        return {
            slug: self._word(name, slug, steps.get(name, []), aggregated.get(name))
            for name, slug in zip(names, unique_slugs(names), strict=True)
        }

    def _listed(self) -> list[str]:
        """Return the tensor names of the tracked words, in the order of the prompt, then of the negative prompt."""
        document = self._manifest.document
        negative = (f"{UNCONDITIONAL_PREFIX}{token.slug}" for token in document.negative_tokens)
        return [*(token.slug for token in document.tokens), *negative]

    def _in_prompt_order(self, names: dict[str, None]) -> list[str]:
        if len(names) > MAX_WORDS:
            found = f"{len(names):,} words, such as {next(iter(names))!r}"
            raise TensorError(problem(self._manifest.path, None, found, f"at most {MAX_WORDS:,} words in its tensors"))
        listed = self._listed()
        missing = [slug for slug in listed if slug not in names]
        if missing:
            found = f"no tensor {missing[0]!r} (the files hold: {', '.join(names) or 'none'})"
            expected = f"{missing[0]!r} or '{missing[0]}{AGGREGATED_SUFFIX}', as listed in the manifest's tokens"
            raise TensorError(problem(self._manifest.path, None, found, expected))
        return [*listed, *(name for name in names if name not in listed)]

    def _word(self, name: str, slug: str, steps: Sequence[StoredTensor], aggregated: StoredTensor | None) -> WordMaps:
        tensors = [*steps, *([aggregated] if aggregated else [])]
        _check_same("latent grid", tensors, slice(-_FRAME_RANK, None))
        _check_same("numbers of layers and heads", list(steps), slice(1, -_FRAME_RANK))
        frames, height, width = tensors[0].shape[-_FRAME_RANK:]
        _check_grid(self._manifest, name, (frames, height, width))
        numbers = self._step_numbers(sum(tensor.shape[0] for tensor in steps))
        means = self._means(steps[0].shape, numbers) if steps else frozenset[str]()
        return WordMaps(name, slug, (frames, height, width), numbers, tuple(steps), aggregated, means)

    def _means(self, shape: Sequence[int], numbers: Sequence[int]) -> frozenset[str]:
        """Return the axes of which only the mean is stored; FORMAT.md: a reduced axis has length 1."""
        is_numbered = len(self._manifest.document.denoising) == len(numbers)
        lengths = {"steps": 0 if is_numbered else len(numbers), "layers": shape[1], "heads": shape[2]}
        return frozenset(axis for axis, length in lengths.items() if length == 1)

    def _step_numbers(self, count: int) -> tuple[int, ...]:
        """Return the number of each stored step: from the manifest if it lists equally many, else its position."""
        numbers = tuple(step.index for step in self._manifest.document.denoising)
        return numbers if len(numbers) == count else tuple(range(count))


def _check_kind_and_rank(tensor: StoredTensor) -> None:
    if tensor.kind not in ("F16", "F32"):
        raise TensorError(problem(tensor.path, tensor.name, f"element type {tensor.kind}", "F16 or F32"))
    is_aggregated = tensor.name.endswith(AGGREGATED_SUFFIX)
    rank, axes = (_FRAME_RANK, _FRAME_AXES) if is_aggregated else (_STEP_RANK, _STEP_AXES)
    if len(tensor.shape) != rank or 0 in tensor.shape:
        found, expected = f"shape {list(tensor.shape)}", f"shape {axes} without empty axes"
        raise TensorError(problem(tensor.path, tensor.name, found, expected))


def _check_grid(manifest: Manifest, name: str, found: tuple[int, int, int]) -> None:
    grid = manifest.document.grid
    if grid is not None and (grid.frames, grid.height, grid.width) != found:
        raise TensorError(
            Problem(
                file=manifest.path,
                field="grid",
                found=f"{grid.frames} x {grid.height} x {grid.width}",
                expected=f"{' x '.join(map(str, found))}, as in the tensors of {name!r}",
                remedy="write the grid of the tensors, or omit the field",
            )
        )


def _check_same(what: str, tensors: Sequence[StoredTensor], axes: slice) -> None:
    for tensor in tensors[1:]:
        found, expected = list(tensor.shape[axes]), list(tensors[0].shape[axes])
        if found != expected:
            raise TensorError(
                problem(tensor.path, tensor.name, f"{what} {found}", f"{expected}, as in {tensors[0].path.name}")
            )
