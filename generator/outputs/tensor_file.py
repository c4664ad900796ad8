"""Writes safetensors files piece by piece, without holding a whole file in memory.

A file consists of the header's length in 8 bytes, the JSON header padded with spaces to a multiple of 8 bytes, and the
tensors one after the other (https://github.com/huggingface/safetensors#format). The header is sorted, so that equal
tensors give equal files.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import zstandard

from generator.outputs.files import atomic_write

_ELEMENT_TYPES = {"float16": "F16", "float32": "F32"}
_ALIGNMENT = 8


@dataclass(frozen=True)
class Stored:
    """One tensor of a file, with its content as consecutive parts."""

    shape: tuple[int, ...]
    parts: Sequence[np.ndarray]

    @classmethod
    def joined(cls, parts: Sequence[np.ndarray]) -> "Stored":
        """Join parts of equal shape along a new first axis, without copying them."""
        return cls((len(parts), *parts[0].shape), parts)

    @classmethod
    def whole(cls, array: np.ndarray) -> "Stored":
        """Store an array as one part."""
        return cls(array.shape, [array])

    @property
    def dtype(self) -> np.dtype:
        """Data type of the elements."""
        return self.parts[0].dtype

    @property
    def size(self) -> int:
        """Number of bytes."""
        return sum(part.nbytes for part in self.parts)


def write_tensors(path: Path, tensors: Mapping[str, Stored], metadata: Mapping[str, str]) -> None:
    """Write a file; a name ending in ``.zst`` compresses it into one zstd frame with the size in its header.

    Raises:
        OutputError: if the file cannot be written.

    """
    # Larger elements first, as in the safetensors library, so that every tensor is aligned to its element size.
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header = _header([(name, tensors[name]) for name in names], metadata)
    size = len(header) + sum(tensor.size for tensor in tensors.values())
    with atomic_write(path) as temporary, _opened(temporary, size, compress=path.suffix == ".zst") as file:
        file.write(header)
        for name in names:
            for part in tensors[name].parts:
                file.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)


def _header(tensors: Sequence[tuple[str, Stored]], metadata: Mapping[str, str]) -> bytes:
    """Build the header, including its length."""
    described: dict[str, object] = {"__metadata__": dict(metadata)}
    begin = 0
    for name, tensor in tensors:
        end = begin + tensor.size
        dtype = _ELEMENT_TYPES[tensor.dtype.name]
        described[name] = {"dtype": dtype, "shape": tensor.shape, "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(described, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


@contextmanager
def _opened(path: Path, size: int, *, compress: bool) -> Iterator[BinaryIO]:
    with path.open("wb") as file:
        if not compress:
            yield file
            return
        with zstandard.ZstdCompressor().stream_writer(file, size=size, closefd=False) as compressed:
            yield compressed
