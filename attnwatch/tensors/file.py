"""Opens tensor files: their tensors are memory-mapped and read on demand.

A file is open only while its header or some of its values are read, so that a video may have thousands of files.
"""

import contextlib
import errno
import json
import mmap
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import zstandard
from safetensors import SafetensorError, safe_open

from attnwatch.contract.stamps import Mark
from attnwatch.errors import NotReadyError, TensorError
from attnwatch.system.limits import LARGEST_FILE
from attnwatch.system.shortage import free_space, take_room, whole_space
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

    def held(self) -> object:
        """Return what keeps the file open as long as it lives: opening it takes longer than reading a small part."""


Opener = Callable[[Path], BinaryIO]
"""Opens a file for reading."""

Mapping = Callable[[], mmap.mmap]
"""Maps a file, or returns its mapping if there is one; it is unmapped when nothing refers to the result any more."""


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a safetensors file, which is mapped anew at each use, unless a mapping of it is held.

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
    _map: Mapping = field(repr=False)
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
        stored = self._values(self._map())[start : start + prod(shape)]
        values = valid(stored, self.path, self.name).view(np.float16 if self.kind == "F16" else np.float32)
        return values.astype(np.float32).reshape(shape)  # a copy, so that the file can be closed

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
        mapped = self._map()
        values = self._values(mapped)
        at_once = max(1, _MOST_MAPPED // max(size * values.itemsize, _LEAST_MAPPED))
        starts = self._starts(indices, shape)
        for first in range(0, len(starts), at_once):
            mean.add(values, starts[first : first + at_once], self.path, self.name)
            # The next parts do not need these pages.
            mapped.madvise(mmap.MADV_DONTNEED)
        return mean.value().reshape(shape)

    def held(self) -> mmap.mmap:
        """Return a mapping of the file; as long as it lives, the file is not opened again, and changes go unnoticed.

        Raises:
            NotReadyError: the file has changed since it was opened.
            OSError: the file cannot be read.

        """
        return self._map()

    def _starts(self, indices: Sequence[tuple[int, ...]], shape: tuple[int, ...]) -> list[int]:
        """Return the position of the first value of each part with the given shape."""
        leading = self.shape[: len(self.shape) - len(shape)]
        if not leading:
            return [0]
        numbers = np.ravel_multi_index(tuple(np.transpose(indices)), leading)
        return [int(number) * prod(shape) for number in numbers]

    def _values(self, mapped: mmap.mmap) -> Stored:
        """Return all values as a flat view of the mapped file, without reading or checking them."""
        return np.frombuffer(mapped, STORED[self.kind], count=prod(self.shape), offset=self._start)


def open_tensors(path: Path, opened: Opener) -> list[StoredTensor]:
    """Read the header of a `.safetensors` or `.safetensors.zst` file and return its tensors, sorted by name.

    A compressed file is decompressed to disk and stays mapped as long as its tensors live. That copy is unlinked by
    then, so nothing is left behind however this process ends.

    Args:
        path: the file.
        opened: opens it for reading; called again whenever values are read.

    Raises:
        TensorError: the file is damaged or incomplete.
        OSError: the file cannot be read, or the disk lacks the space to decompress it.

    """
    with opened(path) as file:
        mark = Mark.of(file)
        if path.name.endswith(".zst"):
            with _decompressed(path, file) as plain:
                return _tensors(path, plain, partial(_same, _mapped(plain)))
        return _tensors(path, file, _Remapping(path, opened, mark))


def _tensors(path: Path, file: BinaryIO, mapping: Mapping) -> list[StoredTensor]:
    # https://github.com/huggingface/safetensors#format: length of the header, header, data.
    size = os.fstat(file.fileno()).st_size
    try:
        # The library checks the header: sizes, names, and that the tensors fill the file exactly.
        with safe_open(f"/proc/self/fd/{file.fileno()}", framework="numpy"):
            pass
        start = 8 + int.from_bytes(os.pread(file.fileno(), 8, 0), "little")
        header = json.loads(os.pread(file.fileno(), start - 8, 8))
    except (SafetensorError, ValueError) as error:
        found = f"{size:,} bytes that cannot be read ({error})"
        raise TensorError(problem(path, None, found, "a complete safetensors file")) from error
    header.pop("__metadata__", None)
    tensors = []
    for name, entry in sorted(header.items()):
        begin, _ = entry["data_offsets"]
        tensors.append(StoredTensor(path, name, tuple(entry["shape"]), entry["dtype"], mapping, start + begin))
    return tensors


def _mapped(file: BinaryIO) -> mmap.mmap:
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class _Remapping:
    """Maps a file again at each call, unless the last mapping is still in use."""

    def __init__(self, path: Path, opened: Opener, mark: Mark) -> None:
        self._path, self._opened, self._mark = path, opened, mark
        self._last: Callable[[], mmap.mmap | None] = lambda: None

    def __call__(self) -> mmap.mmap:
        mapped = self._last()
        if mapped is None:
            mapped = self._again()
            self._last = weakref.ref(mapped)
        return mapped

    def _again(self) -> mmap.mmap:
        with self._opened(self._path) as file:
            if Mark.of(file) != self._mark:
                raise NotReadyError(
                    f"{self._path}: found it changed while it was being read; expected the file that was opened; open "
                    "it again"
                )
            return _mapped(file)


def _same(mapped: mmap.mmap) -> mmap.mmap:
    return mapped


@contextlib.contextmanager
def _decompressed(path: Path, source: BinaryIO) -> Iterator[BinaryIO]:
    """Decompress into a temporary file: memory use stays constant, and the size is checked before writing."""
    size = _declared_size(path, source.read(_ZSTD_HEADER_BYTES))
    _require_room(path, size)
    source.seek(0)
    with tempfile.TemporaryFile(prefix="attnwatch-") as target:
        _take_room(path, target, size)
        _decompress(path, source, target, size)
        yield target


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
        raise _full(path, size, f"{left:,} are free ({size - left:,} too few)")


def _take_room(path: Path, target: BinaryIO, size: int) -> None:
    """Take all room before writing anything: others that decompress at the same time have found it free, too."""
    try:
        take_room(target.fileno(), size)
    except OSError as error:
        raise _full(path, size, "and others have taken what was free") from error


def _full(path: Path, size: int, found: str) -> OSError:
    return OSError(
        errno.ENOSPC,
        f"decompressing {path.name} needs {size:,} bytes for temporary files, {found}; free some space, or set TMPDIR "
        "to a folder that has it",
        tempfile.gettempdir(),
    )


def _decompress(path: Path, source: BinaryIO, target: BinaryIO, size: int) -> None:
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
