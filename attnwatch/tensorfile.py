"""One tensor file -> its tensors, mapped into memory and not read before they are asked for."""

import contextlib
import json
import mmap
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import zstandard
from safetensors import SafetensorError, safe_open

from attnwatch.errors import Problem, TensorError

Float32Array = npt.NDArray[np.float32]
Stored = npt.NDArray[Any]  # values as they are in a file: singles, or halves as their bits

STORED: dict[str, type[np.uint16] | type[np.float32]] = {"F16": np.uint16, "F32": np.float32}

MAX_DECOMPRESSED_BYTES = 64 * 2**30

_ITEM_BYTES = {"F16": 2, "F32": 4}
_MOST_MAPPED = 32 * 2**20  # bytes of a file that stay in memory while it is read through
_ZSTD_HEADER_BYTES = 18  # RFC 8878, section 3.1.1.1: the longest frame header
_SMALLEST_INVALID_HALF = 0x7C00  # infinity; above it NaN, then everything negative
_NEGATIVE_ZERO = 0x8000
_HALF_TO_SINGLE = np.float32(2.0**112)  # the difference of the exponents' biases, 127 - 15
_FRACTION_SHIFT = 13  # a half's fraction has 10 bits, a single's 23


class Tensor(Protocol):
    """Maps in a file, whatever kind of file that is."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(step, layer, head, frame, height, width)`, or `(frame, height, width)`."""

    def read(self, *index: int) -> Float32Array:
        """Return the part at the leading indices, float32."""

    def mean(self, indices: Sequence[tuple[int, ...]]) -> Float32Array:
        """Return the mean of several parts, each given by its leading indices, float32."""


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a safetensors file.

    Attributes:
        path: the file.
        name: as in the file.
        shape: as in the file.
        kind: element type; only `F16` and `F32` can be read.

    """

    path: Path
    name: str
    shape: tuple[int, ...]
    kind: str
    _mapped: mmap.mmap = field(repr=False)
    _start: int = field(repr=False)

    def read(self, *index: int) -> Float32Array:
        """Return the part of the tensor at the leading indices, float32.

        Raises:
            TensorError: a value is negative, infinite or not a number.

        """
        shape = self.shape[len(index) :]
        (offset,) = self._offsets([index], shape)
        values = self._values(offset, prod(shape))
        singles = values.view(np.float16).astype(np.float32) if self.kind == "F16" else values.view(np.float32)
        return singles.reshape(shape)

    def mean(self, indices: Sequence[tuple[int, ...]]) -> Float32Array:
        """Return the mean of several parts, each given by its leading indices, float32.

        One part is in memory at a time, and the file's pages are let go of.

        Raises:
            TensorError: a value is negative, infinite or not a number.

        """
        shape = self.shape[len(indices[0]) :]
        mean = Mean(prod(shape), self.kind)
        mapped_from = self._start
        for offset in self._offsets(indices, shape):
            mean.add(self._values(offset, prod(shape)))
            if not 0 <= offset - mapped_from < _MOST_MAPPED:
                mapped_from = self._let_go(mapped_from, offset)
        return mean.value().reshape(shape)

    def _offsets(self, indices: Sequence[tuple[int, ...]], shape: tuple[int, ...]) -> list[int]:
        """Return where in the file each part of a shape starts, in bytes."""
        size = prod(shape) * _ITEM_BYTES[self.kind]
        leading = self.shape[: len(self.shape) - len(shape)]
        if not leading:
            return [self._start]
        numbers = np.ravel_multi_index(tuple(np.transpose(indices)), leading)
        return [self._start + int(number) * size for number in numbers]

    def _values(self, offset: int, count: int) -> Stored:
        """Return a part as it is stored, once all of it is finite and not negative."""
        values = np.frombuffer(self._mapped, STORED[self.kind], count=count, offset=offset)
        return valid(values, self.path, self.name)

    def _let_go(self, begin: int, end: int) -> int:
        """Tell the kernel that pages need not stay in this process's memory; return where the next ones begin."""
        first = min(begin, end) // mmap.PAGESIZE * mmap.PAGESIZE
        self._mapped.madvise(mmap.MADV_DONTNEED, first, max(begin, end) - first)
        return end


class Mean:
    """Adds up maps, as they are stored, into their float32 mean.

    Args:
        size: number of values of each.
        kind: `F16` or `F32`.

    """

    def __init__(self, size: int, kind: str) -> None:
        self._total, self._buffer = np.zeros(size, np.float32), np.empty(size, np.uint32)
        self._kind = kind
        self._count = 0

    def add(self, values: Stored) -> None:
        """Add one that is `valid`."""
        self._total += _unscaled(values, self._buffer) if self._kind == "F16" else values.view(np.float32)
        self._count += 1

    def value(self) -> Float32Array:
        """Return the mean, once."""
        # Scaled once, at the end: multiplying takes ten times as long for numbers as small as unscaled halves are.
        self._total *= (_HALF_TO_SINGLE if self._kind == "F16" else np.float32(1)) / np.float32(self._count)
        return self._total


def valid(values: Stored, path: Path, name: str) -> Stored:
    """Return stored values once all of them are finite and not negative; a negative zero becomes zero.

    Raises:
        TensorError: a value is negative, infinite or not a number.

    """
    if values.size == 0:
        return values
    if values.dtype == np.uint16:
        if values.max() < _SMALLEST_INVALID_HALF:
            return values
        values = np.where(values == _NEGATIVE_ZERO, np.uint16(0), values)
    numbers = values.view(np.float16) if values.dtype == np.uint16 else values
    if numbers.min() >= 0 and numbers.max() < np.inf:  # false for NaN too
        return values
    found = f"a negative value ({numbers.min():g})" if np.isfinite(numbers).all() else "NaN or infinite values"
    raise TensorError(problem(path, name, found, "probabilities: finite, at least 0"))


def _unscaled(bits: Stored, buffer: npt.NDArray[np.uint32]) -> Float32Array:
    """Return halves, given as bits, as singles in the buffer, too small by the factor `_HALF_TO_SINGLE`.

    A half's bits, shifted so that its fraction meets the single's, are a single whose exponent is too small by the
    difference of the two biases. That holds for subnormal halves too, and takes a fifth of numpy's conversion.
    """
    np.copyto(buffer, bits)
    np.left_shift(buffer, _FRACTION_SHIFT, out=buffer)
    return buffer.view(np.float32)


def open_tensors(path: Path) -> list[StoredTensor]:
    """Map a `.safetensors` or `.safetensors.zst` file; tensors sorted by name.

    The mapping lives as long as the tensors do. What was decompressed has no name any more by then, so that nothing
    of it is left behind, however this process ends.

    Raises:
        TensorError: the file is not whole.
        OSError: the file cannot be read.

    """
    try:
        with _decompressed(path) if path.name.endswith(".zst") else contextlib.nullcontext(path) as plain:
            # The library checks the header: sizes, names, that all parts lie inside the file and fill it.
            with safe_open(plain, framework="numpy"):
                pass
            with plain.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (SafetensorError, ValueError) as error:
        found = f"{path.stat().st_size:,} bytes that cannot be read ({error})"
        raise TensorError(problem(path, None, found, "a whole safetensors file")) from error
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


def problem(path: Path, name: str | None, found: str, expected: str) -> Problem:
    """Describe what is wrong with a tensor, or with the file itself if no name is given."""
    where = "the file itself" if name is None else f"tensor {name!r}"
    remedy = "write it again as FORMAT.md, 'Tensors', says"
    return Problem(file=path, field=where, found=found, expected=expected, remedy=remedy)


@contextlib.contextmanager
def _decompressed(path: Path) -> Iterator[Path]:
    """Decompress into a temporary file: memory stays flat, and the size is known before a byte is written."""
    with path.open("rb") as source:
        try:
            size = zstandard.frame_content_size(source.read(_ZSTD_HEADER_BYTES))
        except zstandard.ZstdError as error:
            raise TensorError(problem(path, None, f"no zstd frame ({error})", "a whole one")) from error
        limit = min(MAX_DECOMPRESSED_BYTES, shutil.disk_usage(tempfile.gettempdir()).free)
        if not 0 < size <= limit:
            found = f"a declared size of {size:,} bytes" if size > 0 else "no declared size"
            expected = f"a decompressed size in the frame header, at most {limit:,} bytes (free for temporary files)"
            raise TensorError(problem(path, None, found, expected))
        source.seek(0)
        with tempfile.NamedTemporaryFile(prefix="attnwatch-") as target:
            _decompress(path, source, target, size)
            yield Path(target.name)


def _decompress(path: Path, source: BinaryIO, target: IO[bytes], size: int) -> None:
    written = 0
    try:
        for chunk in zstandard.ZstdDecompressor().read_to_iter(source):
            written += len(chunk)
            if written > size:
                break
            target.write(chunk)
    except zstandard.ZstdError as error:
        raise TensorError(problem(path, None, f"damaged zstd data ({error})", "a whole frame")) from error
    if written != size:
        found = f"{'more than ' if written > size else ''}{min(written, size):,} bytes inside"
        raise TensorError(problem(path, None, found, f"{size:,} bytes, as its header declares"))
    target.flush()
