"""Writing safetensors files piece by piece, so that no file is ever held in memory.

The file is the header's length in 8 bytes, the header in JSON, padded with blanks to a multiple of 8 bytes, and the
tensors one after the other (https://github.com/huggingface/safetensors#format). The header is sorted, so that equal
tensors make equal files.
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
    """One tensor of a file: of ``shape``, its content in parts that lie one after the other."""

    shape: tuple[int, ...]
    parts: Sequence[np.ndarray]

    @classmethod
    def joined(cls, parts: Sequence[np.ndarray]) -> "Stored":
        """Join parts of one shape along a new first axis, without copying them."""
        return cls((len(parts), *parts[0].shape), parts)

    @classmethod
    def whole(cls, array: np.ndarray) -> "Stored":
        """Store an array as it is."""
        return cls(array.shape, [array])

    @property
    def dtype(self) -> np.dtype:
        """Type of all elements."""
        return self.parts[0].dtype

    @property
    def size(self) -> int:
        """Number of bytes."""
        return sum(part.nbytes for part in self.parts)


def write_tensors(path: Path, tensors: Mapping[str, Stored], metadata: Mapping[str, str]) -> None:
    """Write a file, compressed with zstd if its name ends in ``.zst``: one frame whose header tells the size.

    Raises:
        OutputError: if it cannot be written.

    """
    # Larger elements first, as the library does, so that each tensor is aligned to its element.
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header = _header([(name, tensors[name]) for name in names], metadata)
    size = len(header) + sum(tensor.size for tensor in tensors.values())
    with atomic_write(path) as temporary, _opened(temporary, size, compress=path.suffix == ".zst") as file:
        file.write(header)
        for name in names:
            for part in tensors[name].parts:
                file.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)


def _header(tensors: Sequence[tuple[str, Stored]], metadata: Mapping[str, str]) -> bytes:
    """Make the header, its length included."""
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
