"""Where a model and what is added to it are read from, and digests of what lies on this machine.

A model of many gigabytes is not read twice for its digest. Of a tensor, its name, type, shape, and its first and last
`SAMPLE` bytes count: training changes all of a tensor, so other weights are told apart, but a change of single values
in its middle is not noticed. Configurations and vocabularies count as a whole.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from generator.errors import ModelError
from generator.models.tiny import NAME as EMBEDDED
from generator.settings import ModelSettings

INDEX = "model_index.json"
SAMPLE = 4096
_WHOLE = frozenset({".json", ".txt", ".model"})
_WEIGHTS = frozenset({".safetensors", ".bin", ".pt"})
_MOST_HEADER = 100 * 2**20
_HUB_FILE = re.compile(r"([^/]+/[^/]+)/(.+)")


@dataclass(frozen=True)
class Addition:
    """Weights that are added to a model: a LoRA with its ``weight``, or a textual inversion with its ``token``."""

    source: str
    weight: float = 1.0
    token: str | None = None

    @classmethod
    def lora(cls, text: str) -> "Addition":
        """Read ``SOURCE`` or ``SOURCE:WEIGHT``."""
        source, colon, weight = text.rpartition(":")
        try:
            return cls(source, float(weight)) if colon and source else cls(text)
        except ValueError:
            return cls(text)

    @classmethod
    def embedding(cls, text: str) -> "Addition":
        """Read ``SOURCE`` or ``SOURCE:TOKEN``."""
        source, colon, token = text.rpartition(":")
        if not colon or not source or not token or Path(text).exists():
            return cls(text)
        return cls(source, token=token)

    @property
    def is_local(self) -> bool:
        """Whether it is a file or a folder of this machine."""
        return Path(self.source).exists()

    @property
    def repository(self) -> tuple[str, str | None]:
        """Repository of the Hugging Face hub, and the file in it, if it is named."""
        found = _HUB_FILE.fullmatch(self.source)
        return (found[1], found[2]) if found else (self.source, None)


def absolute(text: str) -> str:
    """Return an existing file or folder by its absolute path, and anything else, such as a name on the hub, as it is.

    What follows the last colon, a weight or a token, is kept.
    """
    if Path(text).exists():
        return str(Path(text).absolute())
    source, colon, rest = text.rpartition(":")
    return f"{Path(source).absolute()}:{rest}" if colon and source and Path(source).exists() else text


def settled(settings: ModelSettings) -> ModelSettings:
    """Return the settings with absolute paths, which hold in every working directory."""
    return settings.model_copy(
        update={
            "id": settings.id if settings.id == EMBEDDED else absolute(settings.id),
            "lora": tuple(map(absolute, settings.lora)),
            "embeddings": tuple(map(absolute, settings.embeddings)),
        }
    )


def digests(settings: ModelSettings) -> dict[str, str]:
    """Return the digest of every source that is a file or a folder of this machine.

    Raises:
        ModelError: if one cannot be read.

    """
    sources = [] if settings.id == EMBEDDED else [settings.id]
    sources += [Addition.lora(text).source for text in settings.lora]
    sources += [Addition.embedding(text).source for text in settings.embeddings]
    return {source: digest(Path(source)) for source in sources if Path(source).exists()}


def digest(path: Path) -> str:
    """Return the SHA-256, in hexadecimal digits, of a file of weights or of the weights in a folder.

    Raises:
        ModelError: if it cannot be read.

    """
    total = hashlib.sha256()
    try:
        if path.is_file():
            total.update(_file_digest(path))
        else:
            for file in sorted(_files(path)):
                total.update(file.relative_to(path).as_posix().encode("utf-8", "surrogateescape") + b"\0")
                total.update(_file_digest(file))
    except OSError as error:
        raise ModelError(f"{error.filename or path} cannot be read: {error.strerror}") from error
    return total.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files that belong to a pipeline, or all weights and configurations if the folder is not one."""
    try:
        index = json.loads((folder / INDEX).read_bytes())
        yield folder / INDEX
        parts = [folder / name for name, value in index.items() if isinstance(value, list)]
    except FileNotFoundError:
        parts = [folder]
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{folder / INDEX} is not the index of a pipeline: {error}") from error
    for part in parts:
        for root, _, names in os.walk(part):
            files = (Path(root, name) for name in names if not name.startswith("."))
            yield from (file for file in files if file.suffix in _WHOLE | _WEIGHTS)


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        if path.suffix != ".safetensors":
            return hashlib.file_digest(file, "sha256").digest()
        found = hashlib.sha256()
        for piece in _samples(file, path.stat().st_size):
            found.update(piece)
        return found.digest()


def _samples(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the size and the header of a file of tensors, and the first and last bytes of each tensor."""
    yield size.to_bytes(8, "little")
    beginning = file.read(8)
    length = int.from_bytes(beginning, "little")
    if length > min(size, _MOST_HEADER):  # no such file: loading it will say so
        yield beginning
        return
    header = file.read(length)
    yield header
    for start, end in sorted(_places(header)):
        for place in dict.fromkeys((start, max(end - SAMPLE, start))):
            file.seek(8 + length + place)
            yield file.read(min(SAMPLE, end - place))


def _places(header: bytes) -> Iterator[tuple[int, int]]:
    """Yield the place of each tensor behind the header."""
    try:
        entries = json.loads(header)
        for name, entry in entries.items():
            if name != "__metadata__":
                start, end = entry["data_offsets"]
                yield int(start), int(end)
    except (ValueError, TypeError, KeyError, AttributeError):
        return  # no such file: loading it will say so
