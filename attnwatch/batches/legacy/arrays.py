"""Reads arrays saved by numpy, plain or compressed, one map at a time; never unpickles, and checks every header."""

import contextlib
import errno
import gzip
import io
import lzma
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.lib import format as npy

from attnwatch.errors import Problem, TensorError
from attnwatch.tensors.file import Opener
from attnwatch.tensors.reduction import STORED, Float32Array, Mean, Stored

_MAGIC, _LONGEST_HEADER = 8, 2**16
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}
_MOST_VALUES = 2**26  # in one map; 81 latent frames of a 4K video have 2.6 million
_MOST_EXPANSION, _SLACK = 1032, 2**16  # the limit of deflate: zlib's technical notes, "Maximum expansion factor"
_KINDS = {"<f2": "F16", "<f4": "F32"}
_ARRAY = ".npy"
_MOST_NAMED = 5
# What gzip, zipfile with its decompressors, and numpy's parser of headers raise for bytes that they cannot read.
_DAMAGE: tuple[type[Exception], ...] = (EOFError, ValueError, NotImplementedError, RuntimeError, OverflowError)
_DAMAGE += (TypeError, SyntaxError, LookupError, tokenize.TokenError)
_DAMAGE += (struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
# Possible names of the array with the maps in an `.npz` that holds several arrays.
_NAMES = ("attention", "attention_map", "attention_maps", "aggregated_attention", "maps", "data", "arr_0")


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, described by its header.

    Attributes:
        path: the file.
        shape: shape in the header.
        kind: element type, `F16` or `F32`.

    """

    path: Path
    shape: tuple[int, ...]
    kind: str
    _opened: Opener = field(repr=False)

    @classmethod
    def open(cls, path: Path, opened: Opener) -> "StoredArray":
        """Read the header of a `.npy`, `.npy.gz` or `.npz` file.

        Args:
            path: the file.
            opened: opens it for reading; called again whenever values are read.

        Raises:
            TensorError: the file is damaged, holds something else, or claims more values than it can hold.
            OSError: the file cannot be read.

        """
        with _content(path, opened) as (content, size):
            shape, kind, start = _header(path, content)
        claimed = prod(shape) * np.dtype(STORED[kind]).itemsize
        found = f"a header that claims {claimed:,} bytes of values for shape {list(shape)}, in a file of {size:,} bytes"
        if path.name.endswith(_ARRAY):
            if start + claimed != size:
                raise TensorError(_problem(path, found, "a claim that matches the size of the file"))
        elif claimed > _MOST_EXPANSION * size + _SLACK:
            raise TensorError(_problem(path, found, "at most what a compressed file of this size can hold"))
        return cls(path, shape, kind, opened)

    def means(self, axis: int, chosen: Sequence[int] | None = None, *, masked: bool = False) -> Float32Array:
        """Return the mean over the axes before the spatial one, summed over those after it: float32 `[spatial]`.

        Only one map is in memory at a time.

        Args:
            axis: index of the spatial axis; blocks and heads come before it, tokens after it.
            chosen: numbers of the maps to include, counted over the leading axes in C order; None for all.
            masked: return NaN where a map has a NaN or an infinite value.

        Raises:
            TensorError: the file is damaged, or a value is negative, or infinite or not a number and not masked.
            OSError: the file cannot be read.

        """
        wanted = frozenset(range(prod(self.shape[:axis])) if chosen is None else chosen)
        mean: Mean | None = None
        for number, values in enumerate(self.maps(axis)):
            mean = mean or Mean(values.size, self.kind, masked=masked)
            if number in wanted:
                mean.add(values, [0], self.path, self.path.name)
        assert mean is not None  # noqa: S101 - for the type checker: no axis is empty
        return np.asarray(mean.value().reshape(self.shape[axis], -1).sum(axis=1), dtype=np.float32)

    def maps(self, axis: int) -> Iterator[Stored]:
        """Yield one flat, unchecked array for each index of the axes before `axis`, with all values behind it.

        Raises:
            TensorError: the file is damaged.
            OSError: the file cannot be read.

        """
        count, size = prod(self.shape[:axis]), prod(self.shape[axis:])
        if size > _MOST_VALUES:
            raise TensorError(_problem(self.path, f"a map of {size:,} values", f"at most {_MOST_VALUES:,}"))
        kind = np.dtype(STORED[self.kind])
        with _content(self.path, self._opened) as (content, _):
            _header(self.path, content)
            for _ in range(count):
                data = content.read(size * kind.itemsize)
                if len(data) < size * kind.itemsize:
                    raise TensorError(_problem(self.path, "fewer values than its header claims", "all of them"))
                yield np.frombuffer(data, kind)
            if content.read(1):
                raise TensorError(_problem(self.path, "more values than its header claims", "no others"))


@contextlib.contextmanager
def _content(path: Path, opened: Opener) -> Iterator[tuple[BinaryIO, int]]:
    """Open the decompressed content of an array's file; also yield the number of bytes it takes up in the file."""
    try:
        with contextlib.ExitStack() as stack:
            file: BinaryIO = stack.enter_context(opened(path))
            size = os.fstat(file.fileno()).st_size
            if path.name.endswith(".gz"):
                file = cast(BinaryIO, stack.enter_context(gzip.open(file)))
            elif path.name.endswith(".npz"):
                archive = stack.enter_context(zipfile.ZipFile(file))
                member = _member(path, archive)
                size, file = member.compress_size, cast(BinaryIO, stack.enter_context(archive.open(member)))
            yield file, size
    except _DAMAGE as error:
        raise TensorError(_problem(path, f"damaged data ({error})", "a complete file saved by numpy")) from error
    except gzip.BadGzipFile as error:
        raise TensorError(_problem(path, f"damaged data ({error})", "a complete gzip file")) from error
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # bz2 gives no number; offsets in a damaged archive lead anywhere
            raise
        raise TensorError(
            _problem(path, f"damaged data ({error.strerror or error})", "a complete file saved by numpy")
        ) from error


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the member of an `.npz` that holds the maps."""
    arrays = {info.filename.removesuffix(_ARRAY): info for info in archive.infolist()}
    if len(arrays) == 1:
        return arrays.popitem()[1]
    named = [name for name in _NAMES if name in arrays]
    if not named:
        found = f"arrays named {', '.join(sorted(arrays)[:_MOST_NAMED]) or 'nothing'}"
        raise TensorError(_problem(path, found, f"one array, or one named {' or '.join(_NAMES)}"))
    return arrays[named[0]]


def _header(path: Path, content: BinaryIO) -> tuple[tuple[int, ...], str, int]:
    """Return the shape and element type of an array, and the position of its first value."""
    version = npy.read_magic(content)
    length_bytes = _LENGTH_BYTES.get(version)
    if length_bytes is None:
        raise TensorError(_problem(path, f"version {version} of the numpy format", "version (1, 0) or (2, 0)"))
    prefix = content.read(length_bytes)
    length = int.from_bytes(prefix, "little")
    if length > _LONGEST_HEADER:
        raise TensorError(_problem(path, f"a header of {length:,} bytes", f"at most {_LONGEST_HEADER:,}"))
    header = io.BytesIO(prefix + content.read(length))
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, is_fortran, dtype = read(header)
    kind = _KINDS.get(dtype.str)
    if kind is None:
        raise TensorError(_problem(path, f"elements of type {dtype}", "float16 or float32, little-endian"))
    if not shape or min(shape) < 1:
        raise TensorError(_problem(path, f"shape {list(shape)}", "[blocks, heads, spatial, tokens] without empty axes"))
    # Both orders are the same if at most one axis is longer than 1.
    if is_fortran and sum(length > 1 for length in shape) > 1:
        raise TensorError(_problem(path, "values in Fortran order", "values in C order, the default of numpy"))
    return shape, kind, _MAGIC + length_bytes + length


def _problem(path: Path, found: str, expected: str) -> Problem:
    return Problem(file=path, field="the file itself", found=found, expected=expected, remedy="write it again")
