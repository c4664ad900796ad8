"""One tensor file -> its tensors, mapped into memory and not read before they are asked for."""

import contextlib
import json
import mmap
import shutil
import tempfile
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
import numpy.typing as npt
import zstandard
from safetensors import SafetensorError, safe_open

from attnwatch.errors import Problem, TensorError

Float32Array = npt.NDArray[np.float32]

MAX_DECOMPRESSED_BYTES = 64 * 2**30

_HALF_BITS, _SINGLE = np.dtype(np.uint16), np.dtype(np.float32)
_ZSTD_HEADER_BYTES = 18  # RFC 8878, section 3.1.1.1: the longest frame header
_SMALLEST_INVALID_HALF = 0x7C00  # infinity; above it NaN, then everything negative
_NEGATIVE_ZERO = 0x8000
_HALF_TO_SINGLE = np.float32(2.0**112)  # the difference of the exponents' biases, 127 - 15
_FRACTION_SHIFT = 13  # a half's fraction has 10 bits, a single's 23


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a file.

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
    _bytes: memoryview = field(repr=False)

    def read(self, *index: int) -> Float32Array:
        """Return the part of the tensor at the leading indices, float32, and let go of the file's pages.

        Raises:
            TensorError: a value is negative, infinite or not a number.

        """
        shape = self.shape[len(index) :]
        count = prod(shape)
        first = int(np.ravel_multi_index(index, self.shape[: len(index)])) * count if index else 0
        values = self._halves_from(first, count) if self.kind == "F16" else self._singles_from(first, count)
        return values.reshape(shape)

    def _halves_from(self, first: int, count: int) -> Float32Array:
        bits = np.frombuffer(self._bytes, _HALF_BITS, count=count, offset=first * _HALF_BITS.itemsize)
        if count and bits.max() >= _SMALLEST_INVALID_HALF:
            bits = np.where(bits == _NEGATIVE_ZERO, np.uint16(0), bits)
            self._check(bits.view(np.float16))
        return _from_half(bits)

    def _singles_from(self, first: int, count: int) -> Float32Array:
        values = np.frombuffer(self._bytes, _SINGLE, count=count, offset=first * _SINGLE.itemsize)
        self._check(values)
        return values

    def _check(self, values: npt.NDArray[np.floating]) -> None:
        if values.size == 0 or (values.min() >= 0 and values.max() < np.inf):  # false for NaN too
            return
        found = f"a negative value ({values.min():g})" if np.isfinite(values).all() else "NaN or infinite values"
        raise TensorError(problem(self.path, self.name, found, "probabilities: finite, at least 0"))


def open_tensors(path: Path, stack: contextlib.ExitStack) -> list[StoredTensor]:
    """Map a `.safetensors` or `.safetensors.zst` file for as long as the stack lives; tensors sorted by name.

    Raises:
        TensorError: the file is not whole.
        OSError: the file cannot be read.

    """
    plain = _decompressed(path, stack) if path.name.endswith(".zst") else path
    try:
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
        begin, end = entry["data_offsets"]
        data = memoryview(mapped)[start + begin : start + end]
        tensors.append(StoredTensor(path, name, tuple(entry["shape"]), entry["dtype"], data))
    return tensors


def problem(path: Path, name: str | None, found: str, expected: str) -> Problem:
    """Describe what is wrong with a tensor, or with the file itself if no name is given."""
    where = "the file itself" if name is None else f"tensor {name!r}"
    remedy = "write it again as FORMAT.md, 'Tensors', says"
    return Problem(file=path, field=where, found=found, expected=expected, remedy=remedy)


def _from_half(bits: npt.NDArray[np.uint16]) -> Float32Array:
    """Convert finite IEEE 754 halves that are not negative to singles by their bits, exactly; numpy takes 4 x as long.

    A half's bits, shifted so that its fraction meets the single's, are a single whose exponent is too small by the
    difference of the two biases; that holds for subnormal halves too.
    """
    single = bits.astype(np.uint32)
    single <<= _FRACTION_SHIFT
    values = single.view(np.float32)
    values *= _HALF_TO_SINGLE
    return values


def _decompressed(path: Path, stack: contextlib.ExitStack) -> Path:
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
        target = stack.enter_context(tempfile.NamedTemporaryFile(prefix="attnwatch-"))  # noqa: SIM115
        _decompress(path, source, target, size)
    return Path(target.name)


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
