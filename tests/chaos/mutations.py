"""Mutations of valid files: of their bytes, of the numbers in their headers, and of the values in JSON documents.

Everything is drawn from one generator of random numbers, so a file can be made again from its seed.
"""

import copy
import io
import json
import random
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any

_NUMBERS = (0, 1, -1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
_TIMES = ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00", "9999-99-99", "24:00")
_NAMES = ("", ".", "..", "../../x", "/dev/zero", "a/b", "nul\0", "\ud800", "\x1b[31m", "x" * 300, "x" * 100_000, "é\n")
_TYPES = ("F8_E4M3", "BF16", "I64", "BOOL", "f32", "<f8", "|O", "<U9", ">f4")
_LITERALS = ("", "()", "None", "9" * 5_000, "(" * 300)
_FLOATS = (float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 5e-324, 0.5)
_EMPTY: tuple[Any, ...] = (None, True, False, [], {}, [[]], {"": None})
_DEEP = "value that is nested deeply"
_DEPTHS = (100, 2_000, 100_000)
_HEAD = 600  # bytes of the beginning and of the end, where containers keep their headers


class Mutator:
    """Mutates with one generator of random numbers."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def damaged(self, data: bytes) -> bytes:
        """Return a file with one to four changes of its bytes, half of them where headers are."""
        changed = bytearray(data)
        for _ in range(self._chance.randint(1, 4)):
            self._chance.choice(_DAMAGES)(self, changed)
        return bytes(changed)

    def box(self, data: bytes) -> bytes:
        """Return an MP4 file with extreme numbers in some of its boxes: sizes, durations, counts, matrices."""
        changed = bytearray(data)
        starts = [found.start() for found in re.finditer(rb"[a-z][a-zA-Z0-9]{3}", data)]
        boxes = [start for start in starts if data[start : start + 4] in _BOXES]
        for _ in range(self._chance.randint(1, 3)):
            self._overwrite(changed, self._chance.choice(boxes) + self._chance.choice((-4, *range(4, 100, 4))), 4)
        return bytes(changed)

    def document(self, data: bytes) -> bytes:
        """Return a JSON document with one to three other values, or with damaged bytes."""
        if self._chance.random() < 0.1:
            return self.damaged(data)
        value = json.loads(data)
        for _ in range(self._chance.randint(1, 3)):
            value = self._changed(value)
        text = json.dumps(value)
        depth = self._chance.choice(_DEPTHS)
        opening, closing = self._chance.choice((("[", "]"), ('{"a":', "}")))
        return text.replace(json.dumps(_DEEP), opening * depth + "0" + closing * depth).encode()

    def safetensors(self, data: bytes) -> bytes:
        """Return a safetensors file with another header, another length of it, or damaged bytes."""
        length = int.from_bytes(data[:8], "little")
        way = self._chance.random()
        if way < 0.3:
            return self.damaged(data)
        if way < 0.35:
            return struct.pack("<Q", self._chance.choice(_NUMBERS) % 2**64) + data[8:]
        header = self.document(data[8 : 8 + length])
        return struct.pack("<Q", len(header)) + header + data[8 + length :]

    def npz(self, data: bytes) -> bytes:
        """Return an `.npz` file with other headers of its arrays, or with damaged bytes."""
        if self._chance.random() < 0.5:
            return self.damaged(data)
        target = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w") as archive:
            for entry in source.infolist():
                name = entry.filename if self._chance.random() < 0.8 else self._name(entry.filename)
                archive.writestr(
                    zipfile.ZipInfo(name), self._array(source.read(entry)), compress_type=entry.compress_type
                )
        return target.getvalue()

    def _name(self, name: str) -> str:
        return self._chance.choice(("x.npy", "../x.npy", "", name * 2, "x" * 1000))

    def _array(self, data: bytes) -> bytes:
        """Return an `.npy` file with another header."""
        length = int.from_bytes(data[8:10], "little")
        header = data[10 : 10 + length].decode("latin-1")
        numbers = [*re.finditer(r"\d+|'[^']*'|True|False|[(){},:]", header)]
        for part in sorted(self._chance.sample(numbers, 1 + (self._chance.random() < 0.3)), key=lambda p: -p.start()):
            new = self._chance.choice((*map(str, _NUMBERS), *map(repr, _TYPES), *_LITERALS))
            header = header[: part.start()] + new + header[part.end() :]
        version = data[:8] if self._chance.random() < 0.9 else data[:6] + self._chance.randbytes(2)
        return version + struct.pack("<H", min(len(header), 2**16 - 1)) + header.encode("latin-1") + data[10 + length :]

    def _changed(self, value: Any) -> Any:
        """Return a JSON value with one other value somewhere inside."""
        places = [*_places(value)]
        if not places or self._chance.random() < 0.01:
            return self._value(value)
        path = self._chance.choice(places)
        changed = inner = copy.deepcopy(value)
        for key in path[:-1]:
            inner = inner[key]
        key = path[-1]
        match self._chance.randrange(8):
            case 0:
                del inner[key]
            case 1 if isinstance(inner, dict):
                inner[self._chance.choice(_NAMES)] = inner.pop(key)
            case 1:
                inner[key:key] = [inner[key]] * self._chance.choice((1, 10, 2_000))
            case 2 if isinstance(inner, dict):
                inner[self._chance.choice(("unknown", *_NAMES))] = self._value(None)
            case _:
                inner[key] = self._value(inner[key])
        return changed

    def _value(self, old: Any) -> Any:
        """Return another value, half of the time of the same type."""
        same: tuple[Any, ...] = {
            str: (*_NAMES, *_TIMES, *_TYPES),
            int: (*_NUMBERS, 10**400),
            float: (*_FLOATS, *_NUMBERS),
        }.get(type(old), _EMPTY)
        every = (*_NAMES, *_TIMES, *_TYPES, *_NUMBERS, 10**400, *_FLOATS, *_EMPTY, _DEEP, _DEEP, [old] * 3, {"a": old})
        return self._chance.choice(same if self._chance.random() < 0.5 else every)

    def _place(self, data: bytearray) -> int:
        size = max(1, len(data))
        match self._chance.randrange(4):
            case 0:
                return self._chance.randrange(min(_HEAD, size))
            case 1:
                return size - 1 - self._chance.randrange(min(2 * _HEAD, size))
            case _:
                return self._chance.randrange(size)

    def _overwrite(self, data: bytearray, place: int, size: int) -> None:
        number = self._chance.choice(_NUMBERS) % 256**size
        data[place : place + size] = number.to_bytes(size, self._chance.choice(("big", "little")))

    def _flip(self, data: bytearray) -> None:
        for _ in range(self._chance.choice((1, 1, 1, 20)) if data else 0):
            data[self._place(data)] ^= 1 << self._chance.randrange(8)

    def _truncate(self, data: bytearray) -> None:
        if self._chance.random() < 0.3:
            del data[self._place(data) :]

    def _insert(self, data: bytearray) -> None:
        place = self._place(data)
        data[place:place] = self._chance.randbytes(self._chance.choice((1, 4, 100)))

    def _remove(self, data: bytearray) -> None:
        place = self._place(data)
        del data[place : place + self._chance.choice((1, 4, 100))]

    def _duplicate(self, data: bytearray) -> None:
        place, size = self._place(data), self._chance.choice((1, 8, 500))
        data[place:place] = data[place : place + size]

    def _number(self, data: bytearray) -> None:
        self._overwrite(data, self._place(data), self._chance.choice((1, 2, 4, 8)))


_DAMAGES: tuple[Callable[[Mutator, bytearray], None], ...] = (
    Mutator._flip,
    Mutator._truncate,
    Mutator._insert,
    Mutator._remove,
    Mutator._duplicate,
    Mutator._number,
)
_BOXES = frozenset(
    b"ftyp moov mvhd trak tkhd edts elst mdia mdhd hdlr minf vmhd stbl stsd avc1 avcC stts stss stsc stsz stco ctts "
    b"free mdat udta pasp btrt".split()
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> "list[tuple[Any, ...]]":
    """Return the path of every value inside a JSON value."""
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value[:50]))
    else:
        return []
    return [found for key, inner in inside for found in ((*path, key), *_places(inner, (*path, key)))]
