"""Tensor files of the contract -> lazily read float32 maps of each tracked word.

Nothing here holds more than one layer of one denoising step in memory, whatever the size of the files.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import zstandard
from safetensors import SafetensorError, safe_open

from attnwatch.errors import Problem, TensorError
from attnwatch.manifest import Manifest
from attnwatch.names import unique_slugs

Float32Array = npt.NDArray[np.float32]

AGGREGATED_SUFFIX = ".aggregated"
RESERVED_PREFIX = "__"
UNCONDITIONAL_PREFIX = "uncond/"
MAX_DECOMPRESSED_BYTES = 64 * 2**30

_STEP_AXES = "[step, layer, head, frame, height, width]"
_FRAME_AXES = "[frame, height, width]"
_STEP_RANK, _FRAME_RANK = 6, 3
_ZSTD_HEADER_BYTES = 18  # RFC 8878, section 3.1.1.1: the longest frame header


@dataclass(frozen=True)
class _Stored:
    """One tensor of one open file, not read yet."""

    path: Path
    name: str
    slices: Any
    shape: tuple[int, ...]


@dataclass(frozen=True)
class WordMaps:
    """The attention of one tracked word.

    Attributes:
        name: name of its tensors.
        slug: name of its outputs.
        grid: latent `(frames, height, width)`.

    """

    name: str
    slug: str
    grid: tuple[int, int, int]
    _steps: tuple[_Stored, ...]
    _aggregated: _Stored | None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """`(step, layer, head, frame, height, width)`, or None when only the aggregated map is stored."""
        if not self._steps:
            return None
        return (sum(part.shape[0] for part in self._steps), *self._steps[0].shape[1:])

    def layers(self) -> Iterator[Float32Array]:
        """Yield every stored layer of every stored step, in order: float32 `[head, frame, height, width]`."""
        for part in self._steps:
            steps, layers = part.shape[:2]
            for step in range(steps):
                for layer in range(layers):
                    yield np.asarray(part.slices[step, layer], dtype=np.float32)

    def frames(self) -> Float32Array:
        """Return the mean over steps, layers and heads: float32 `[frame, height, width]`.

        Raises:
            TensorError: the mean is not finite, or negative somewhere.

        """
        if not self._steps:
            return self.aggregated()
        total = np.zeros(self.grid, dtype=np.float64)
        count = 0
        for maps in self.layers():
            total += maps.sum(axis=0, dtype=np.float64)
            count += maps.shape[0]
        return self._checked((total / count).astype(np.float32), self._steps[0])

    def aggregated(self) -> Float32Array:
        """Return the stored aggregated map, or the same mean from the steps: float32 `[frame, height, width]`.

        Raises:
            TensorError: the map is not finite, or negative somewhere.

        """
        if self._aggregated is None:
            return self.frames()
        return self._checked(np.asarray(self._aggregated.slices[:], dtype=np.float32), self._aggregated)

    def _checked(self, maps: Float32Array, source: _Stored) -> Float32Array:
        if np.isfinite(maps).all() and maps.min() >= 0:
            return maps
        found = "NaN or infinite values" if not np.isfinite(maps).all() else f"a negative value ({maps.min():g})"
        raise TensorError(_problem(source.path, source.name, found, "probabilities, finite and at least 0"))


class AttentionReader:
    """The tensor files of one video, open for reading; a context manager.

    Raises:
        TensorError: a file is no safetensors file, or a tensor has a wrong type, rank or shape.

    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._stack = contextlib.ExitStack()
        try:
            self.words = self._read_words()
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _read_words(self) -> dict[str, WordMaps]:
        steps: dict[str, list[_Stored]] = {}
        aggregated: dict[str, _Stored] = {}
        for path in self._manifest.attention:
            for tensor in self._open(path):
                if tensor.name.startswith((RESERVED_PREFIX, UNCONDITIONAL_PREFIX)):
                    continue
                if tensor.name.endswith(AGGREGATED_SUFFIX):
                    name = tensor.name.removesuffix(AGGREGATED_SUFFIX)
                    if name in aggregated:
                        found = f"a second one (the first is in {aggregated[name].path.name})"
                        raise TensorError(_problem(path, tensor.name, found, "the aggregated map in one file only"))
                    aggregated[name] = tensor
                else:
                    steps.setdefault(tensor.name, []).append(tensor)
        names = self._in_prompt_order(dict.fromkeys([*steps, *aggregated]))
        slugs = unique_slugs(names)
        return {
            slug: _word(name, slug, steps.get(name, []), aggregated.get(name))
            for name, slug in zip(names, slugs, strict=True)
        }

    def _in_prompt_order(self, names: dict[str, None]) -> list[str]:
        listed = [token.slug for token in self._manifest.document.tokens]
        missing = [slug for slug in listed if slug not in names]
        if missing:
            found = f"no tensor {missing[0]!r} (the files hold: {', '.join(names) or 'none'})"
            expected = f"{missing[0]!r} or '{missing[0]}{AGGREGATED_SUFFIX}', as the manifest's tokens say"
            raise TensorError(_problem(self._manifest.path, "tokens", found, expected))
        return [*listed, *(name for name in names if name not in listed)]

    def _open(self, path: Path) -> list[_Stored]:
        plain = self._decompressed(path) if path.name.endswith(".zst") else path
        try:
            file = self._stack.enter_context(safe_open(plain, framework="numpy"))
        except (SafetensorError, OSError) as error:
            size = f"{path.stat().st_size:,} bytes" if path.exists() else "no file"
            found = f"{size} that cannot be read ({error})"
            raise TensorError(_problem(path, "the file itself", found, "a whole safetensors file")) from error
        return [_stored(path, name, file.get_slice(name)) for name in sorted(file.keys())]

    def _decompressed(self, path: Path) -> Path:
        """Decompress into an anonymous place on disk: memory stays flat, and the size is known before."""
        with path.open("rb") as source:
            try:
                size = zstandard.frame_content_size(source.read(_ZSTD_HEADER_BYTES))
            except zstandard.ZstdError as error:
                raise TensorError(_problem(path, "the file itself", f"no zstd frame ({error})", "one")) from error
            self._check_room(path, size)
            source.seek(0)
            target = self._stack.enter_context(tempfile.NamedTemporaryFile(prefix="attnwatch-"))  # noqa: SIM115
            _decompress(path, source, target, size)
        return Path(target.name)

    @staticmethod
    def _check_room(path: Path, size: int) -> None:
        free = shutil.disk_usage(tempfile.gettempdir()).free
        limit = min(MAX_DECOMPRESSED_BYTES, free)
        if not 0 < size <= limit:
            found = f"a declared size of {size:,} bytes" if size > 0 else "no declared size"
            expected = f"a decompressed size in the frame header, at most {limit:,} bytes (free for temporary files)"
            raise TensorError(_problem(path, "the file itself", found, expected))


def _decompress(path: Path, source: Any, target: Any, size: int) -> None:  # noqa: ANN401 - binary files
    written = 0
    try:
        for chunk in zstandard.ZstdDecompressor().read_to_iter(source):
            written += len(chunk)
            if written > size:
                break
            target.write(chunk)
    except zstandard.ZstdError as error:
        raise TensorError(_problem(path, "the file itself", f"damaged zstd data ({error})", "a whole frame")) from error
    if written != size:
        found = f"{'more than ' if written > size else ''}{min(written, size):,} bytes inside"
        raise TensorError(_problem(path, "the file itself", found, f"{size:,} bytes, as its header declares"))
    target.flush()


def _stored(path: Path, name: str, slices: Any) -> _Stored:  # noqa: ANN401 - safetensors has no type for it
    shape, kind = tuple(slices.get_shape()), slices.get_dtype()
    if kind not in ("F16", "F32"):
        raise TensorError(_problem(path, name, f"element type {kind}", "F16 or F32"))
    rank, axes = (_FRAME_RANK, _FRAME_AXES) if name.endswith(AGGREGATED_SUFFIX) else (_STEP_RANK, _STEP_AXES)
    if len(shape) != rank or 0 in shape:
        raise TensorError(_problem(path, name, f"shape {list(shape)}", f"shape {axes}, no axis empty"))
    return _Stored(path, name, slices, shape)


def _word(name: str, slug: str, steps: Sequence[_Stored], aggregated: _Stored | None) -> WordMaps:
    tensors = [*steps, *([aggregated] if aggregated else [])]
    frames, height, width = grid = tensors[0].shape[-3:]
    for tensor in tensors[1:]:
        if tensor.shape[-3:] != grid:
            found, expected = f"grid {list(tensor.shape[-3:])}", f"{list(grid)} as in {tensors[0].path.name}"
            raise TensorError(_problem(tensor.path, tensor.name, found, expected))
    for step in steps[1:]:
        if step.shape[1:3] != steps[0].shape[1:3]:
            found = f"{step.shape[1]} layers x {step.shape[2]} heads"
            expected = f"{steps[0].shape[1]} x {steps[0].shape[2]} as in {steps[0].path.name}"
            raise TensorError(_problem(step.path, step.name, found, expected))
    return WordMaps(name, slug, (frames, height, width), tuple(steps), aggregated)


def _problem(path: Path, name: str, found: str, expected: str) -> Problem:
    field = name if name == "the file itself" else f"tensor {name!r}"
    remedy = "write it again as FORMAT.md, 'Tensors', says"
    return Problem(file=path, field=field, found=found, expected=expected, remedy=remedy)
