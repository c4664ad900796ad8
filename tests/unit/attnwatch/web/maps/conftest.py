"""Maps as a browser takes them from the page."""

import json
import math

import numpy as np
import pytest

pytest.importorskip("starlette")

from attnwatch.contract.manifest import read_manifest
from tests.support import Batch


def unpacked(data):
    """Return the header of a container and its maps, `[step, frame, row, column]`."""
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    shape, start = header["shape"], 4 + length
    assert start % 8 == 0
    ends = np.frombuffer(data, "<f4", 2 * shape[0] * shape[1], start).reshape(*shape[:2], 2).astype(float)
    codes = np.frombuffer(data, "<u2", math.prod(shape), start + ends.size * 4).reshape(shape)
    low, high = ends[..., 0, None, None], ends[..., 1, None, None]
    return header, np.where(codes == 65535, np.nan, low + codes / 65534 * (high - low))


def video(folder, maps, **fields):
    """Make a finished video whose word `kiss` has these maps, and return its manifest."""
    return read_manifest(Batch.make(folder).add(tensors={"kiss": maps}, **fields))
