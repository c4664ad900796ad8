"""Opens one tensor file: its tensors are memory-mapped and read on demand."""

import contextlib
import errno
import json
import mmap
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import IO, BinaryIO, Protocol

import numpy as np
import zstandard
from safetensors import SafetensorError, safe_open

from attnwatch.errors import TensorError
from attnwatch.system.limits import LARGEST_FILE
from attnwatch.system.shortage import free_space, whole_space
from attnwatch.tensors.reduction import STORED, Float32Array, Mean, Stored, problem, valid

_MOST_MAPPED = 32 * 2**20  # bytes of a file resident at once while it is read from start to end
_LEAST_MAPPED = 128 * 2**10  # bytes that any read makes resident: the kernel also maps the surrounding pages
_ZSTD_HEADER_BYTES = 18  # RFC 8878, section 3.1.1.1: the longest frame header


class Tensor(Protocol):
    """Attention maps stored in a file of any format."""

    @property
    def path(self) -> Path:
        """Path of the file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(step, layer, head, frame, height, width)`, or `(frame, height, width)`."""

    def read(self, *index: int, masked: bool = False) -> Float32Array:
        """Return the part at the leading indices, float32; NaN in place of masked values."""

    def mean(self, indices: Sequence[tuple[int, ...]], *, masked: bool = False) -> Float32Array:
        """Return the mean of several parts, each given by its leading indices, float32; NaN where any is masked."""


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a safetensors file.

    Attributes:
        path: the file.
        name: name in the file.
        shape: shape in the file.
        kind: element type; only `F16` and `F32` can be read.

    """

    path: Path
    name: str
    shape: tuple[int, ...]
    kind: str
    _mapped: mmap.mmap = field(repr=False)
    _start: int = field(repr=False)

    def read(self, *index: int, masked: bool = False) -> Float32Array:
        """Return the part of the tensor at the leading indices, float32.

        Args:
            index: leading indices.
            masked: return NaN in place of NaN and infinite values.

        Raises:
            TensorError: a value is negative, or infinite or not a number and not masked.

        """
        if masked:
            return self.mean([index], masked=True)
        shape = self.shape[len(index) :]
        (start,) = self._starts([index], shape)
        values = valid(self._values()[start : start + prod(shape)], self.path, self.name)
        singles = values.view(np.float16).astype(np.float32) if self.kind == "F16" else values.view(np.float32)
        return singles.reshape(shape)

    def mean(self, indices: Sequence[tuple[int, ...]], *, masked: bool = False) -> Float32Array:
        """Return the mean of several parts, each given by its leading indices, float32.

        At most 32 MiB of the file, or one part if that is larger, are resident at a time.

        Args:
            indices: leading indices of each part.
            masked: return NaN where a part has a NaN or an infinite value.

        Raises:
            TensorError: a value is negative, or infinite or not a number and not masked.

        """
        shape = self.shape[len(indices[0]) :]
        size = prod(shape)
        mean = Mean(size, self.kind, masked=masked)
        values = self._values()
        at_once = max(1, _MOST_MAPPED // max(size * values.itemsize, _LEAST_MAPPED))
        starts = self._starts(indices, shape)
        for first in range(0, len(starts), at_once):
            mean.add(values, starts[first : first + at_once], self.path, self.name)
            # The next parts do not need these pages.
            self._mapped.madvise(mmap.MADV_DONTNEED)
        return mean.value().reshape(shape)

    def _starts(self, indices: Sequence[tuple[int, ...]], shape: tuple[int, ...]) -> list[int]:
        """Return the position of the first value of each part with the given shape."""
        leading = self.shape[: len(self.shape) - len(shape)]
        if not leading:
            return [0]
        numbers = np.ravel_multi_index(tuple(np.transpose(indices)), leading)
        return [int(number) * prod(shape) for number in numbers]

    def _values(self) -> Stored:
        """Return all values as a flat view of the stored data, without reading or checking them."""
        return np.frombuffer(self._mapped, STORED[self.kind], count=prod(self.shape), offset=self._start)


def open_tensors(path: Path) -> list[StoredTensor]:
    """Memory-map a `.safetensors` or `.safetensors.zst` file and return its tensors, sorted by name.

    The mapping lives as long as the tensors. A decompressed copy is already unlinked by then, so nothing is left behind
    however this process ends.

    Raises:
        TensorError: the file is damaged or incomplete.
        OSError: the file cannot be read, or the disk lacks the space to decompress it.

    """
    try:
        with _decompressed(path) if path.name.endswith(".zst") else contextlib.nullcontext(path) as plain:
            # The library checks the header: sizes, names, and that the tensors fill the file exactly.
            with safe_open(plain, framework="numpy"):
                pass
            with plain.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (SafetensorError, ValueError) as error:
        found = f"{path.stat().st_size:,} bytes that cannot be read ({error})"
        raise TensorError(problem(path, None, found, "a complete safetensors file")) from error
    return _tensors(path, mapped)


def _tensors(path: Path, mapped: mmap.mmap) -> list[StoredTensor]:
    # https://github.com/huggingface/safetensors#format: length of the header, header, data.
    start = 8 + int.from_bytes(mapped[:8], "little")
    header = json.loads(mapped[8:start])
    header.pop("__metadata__", None)
    tensors = []
    for name, entry in sorted(header.items()):
        begin, _ = entry["data_offsets"]
        tensors.append(StoredTensor(path, name, tuple(entry["shape"]), entry["dtype"], mapped, start + begin))
    return tensors


@contextlib.contextmanager
def _decompressed(path: Path) -> Iterator[Path]:
    """Decompress into a temporary file: memory use stays constant, and the size is checked before writing."""
    with path.open("rb") as source:
        size = _declared_size(path, source.read(_ZSTD_HEADER_BYTES))
        _require_room(path, size)
        source.seek(0)
        with tempfile.NamedTemporaryFile(prefix="attnwatch-") as target:
            _decompress(path, source, target, size)
            yield Path(target.name)


def _declared_size(path: Path, header: bytes) -> int:
    try:
        size = zstandard.frame_content_size(header)
    except zstandard.ZstdError as error:
        raise TensorError(problem(path, None, f"no valid zstd frame ({error})", "a complete one")) from error
    # Jobs cannot write larger files, however much space there is.
    if not 0 < size <= LARGEST_FILE:
        found = f"a declared size of {size:,} bytes" if size > 0 else "no declared size"
        expected = f"a decompressed size in the frame header, at most {LARGEST_FILE:,} bytes"
        raise TensorError(problem(path, None, found, expected))
    return size


def _require_room(path: Path, size: int) -> None:
    """Raise `ENOSPC` before writing anything, so that a full disk is not mistaken for a damaged file.

    What would not even fit on an empty disk is the fault of the file.
    """
    folder = tempfile.gettempdir()
    left, whole = free_space(Path(folder)), whole_space(Path(folder))
    if whole is not None and whole < size:
        found = f"{size:,} bytes when decompressed"
        expected = f"at most {whole:,} bytes, the size of the disk of {folder}; set TMPDIR to a folder on a larger one"
        raise TensorError(problem(path, None, found, expected))
    if left is not None and left < size:
        raise OSError(
            errno.ENOSPC,
            f"decompressing {path.name} needs {size:,} bytes for temporary files, {left:,} are free "
            f"({size - left:,} too few); free some space, or set TMPDIR to a folder that has it",
            folder,
        )


def _decompress(path: Path, source: BinaryIO, target: IO[bytes], size: int) -> None:
    written = 0
    try:
        for chunk in zstandard.ZstdDecompressor().read_to_iter(source):
            written += len(chunk)
            if written > size:
                break
            target.write(chunk)
    except zstandard.ZstdError as error:
        raise TensorError(problem(path, None, f"damaged zstd data ({error})", "a complete frame")) from error
    if written != size:
        found = f"{'more than ' if written > size else ''}{min(written, size):,} bytes inside"
        raise TensorError(problem(path, None, found, f"{size:,} bytes, as declared in its header"))
    target.flush()
