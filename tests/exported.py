"""Reads exported pictures again, as other programs do."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.support import decode


def document(folder: Path) -> dict[str, Any]:
    """Return the document of an export."""
    (path,) = folder.glob("*_export.json")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def files(folder: Path, word: int = 0) -> list[Path]:
    """Return the images of a word as its document says that they are called, up to the first that is missing."""
    about = document(folder)
    names = (about["words"][word]["files"] % number for number in range(about["first_number"], 10**6))
    found = []
    while (path := folder / next(names)).exists():
        found.append(path)
    return found


def exr(path: Path) -> npt.NDArray[np.float32]:
    """Return the channels of an EXR file, `[channel, height, width]`: G, B, R."""
    (frame,) = decode(path)
    assert frame.format.name == "gbrpf32le"
    return np.stack([plane_of(frame, number, "<f4") for number in range(3)])


def png(path: Path) -> npt.NDArray[np.int64]:
    """Return the numbers of a grey PNG file of 16 bits, `[height, width]`."""
    with Image.open(path) as image:
        assert image.mode in ("I;16", "I;16B")
        return np.array(image).astype(np.int64)


def plane_of(frame: av.VideoFrame, number: int, kind: str) -> npt.NDArray[Any]:
    """Return a plane of a frame, `[height, width]`."""
    plane = frame.planes[number]
    values = np.frombuffer(memoryview(plane), kind)
    columns = plane.line_size // values.itemsize
    return values[: plane.height * columns].reshape(plane.height, columns)[:, : plane.width]


def exr_header(path: Path) -> dict[str, bytes]:
    """Return the attributes of an EXR file of scan lines (openexr.com, "OpenEXR File Layout")."""
    data = path.read_bytes()
    assert struct.unpack_from("<II", data) == (20000630, 2)
    found, at = {}, 8
    while data[at]:
        name, _, rest = data[at:].split(b"\0", 2)
        (size,) = struct.unpack_from("<I", rest)
        start = at + len(data[at:]) - len(rest) + 4
        found[name.decode()], at = data[start : start + size], start + size
    return found


def png_chunks(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the types and contents of the chunks of a PNG file."""
    data, at = path.read_bytes(), 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8].decode(), data[at + 8 : at + 8 + size]
        at += size + 12
