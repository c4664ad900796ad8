"""Converts the tensors of an older video to one safetensors file; leaves the old files unchanged."""

import json
from collections.abc import Iterator
from math import prod
from typing import BinaryIO

import numpy as np

from attnwatch.batches.legacy.reader import OldReader, OldTensor
from attnwatch.system.folders import Folder
from attnwatch.tensors.reader import AGGREGATED_SUFFIX

_ITEM_BYTES = {"F16": 2, "F32": 4}


def write_safetensors(reader: OldReader, folder: Folder, name: str) -> None:
    """Write all words of a video to one file of a folder atomically, with only one map in memory at a time.

    Layers, heads and element types are kept. https://github.com/huggingface/safetensors#format

    Raises:
        TensorError: an old file is damaged.
        OSError: a file cannot be read or written.

    """
    with folder.writing(name) as file:
        header = json.dumps(_header(reader), separators=(",", ":")).encode()
        header += b" " * (-len(header) % 8)
        file.write(len(header).to_bytes(8, "little") + header)
        for steps, aggregate in reader.tensors.values():
            for step in steps:
                _copy(step, file)
            if aggregate is not None:
                file.write(aggregate.read().tobytes())


def _header(reader: OldReader) -> dict[str, object]:
    header: dict[str, object] = {"__metadata__": {"format": "attnwatch/1"}}
    position = 0
    for name, kind, shape in _entries(reader):
        end = position + prod(shape) * _ITEM_BYTES[kind]
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [position, end]}
        position = end
    return header


def _entries(reader: OldReader) -> Iterator[tuple[str, str, list[int]]]:
    for slug, (steps, aggregate) in reader.tensors.items():
        if steps:
            yield slug, steps[0].kind, [len(steps), *steps[0].shape[1:]]
        if aggregate is not None:
            yield f"{slug}{AGGREGATED_SUFFIX}", "F32", list(aggregate.shape[-3:])


def _copy(step: OldTensor, file: BinaryIO) -> None:
    for values in step.stored():
        file.write(np.ascontiguousarray(values).tobytes())
