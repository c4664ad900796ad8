"""Paths that workers see elsewhere: pickles jobs with their paths, and unpickles outcomes with those of the watcher."""

import io
import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any


@dataclass(frozen=True)
class PathMap:
    """Folders of the watcher's machine, and where workers have them.

    Attributes:
        pairs: folder here, folder there; of several that hold for a path, the innermost one counts.

    """

    pairs: tuple[tuple[Path, Path], ...] = ()

    @classmethod
    def of(cls, assignments: Iterable[str]) -> "PathMap":
        """Return the map that settings such as `/data=/mnt/data` describe."""
        parts = (text.partition("=") for text in assignments)
        return cls(tuple((Path(here), Path(there)) for here, _, there in parts))

    def there(self, path: PurePath) -> Path:
        """Return a path as workers have it."""
        return _moved(Path(path), self.pairs)

    def here(self, path: PurePath) -> Path:
        """Return a path of the workers as the watcher has it."""
        return _moved(Path(path), [(here, there) for there, here in self.pairs])

    def pack(self, value: object) -> bytes:
        """Pickle something for workers."""
        stream = io.BytesIO()
        (_Packing(stream, self) if self.pairs else pickle.Pickler(stream, pickle.HIGHEST_PROTOCOL)).dump(value)
        return stream.getvalue()

    def unpack(self, data: bytes) -> Any:  # noqa: ANN401 - what a worker has pickled
        """Unpickle something that a worker has pickled."""
        return (_Unpacking(io.BytesIO(data), self) if self.pairs else pickle.Unpickler(io.BytesIO(data))).load()  # noqa: S301 - our own workers'


class _Packing(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, paths: PathMap) -> None:
        super().__init__(stream, pickle.HIGHEST_PROTOCOL)
        self._paths = paths

    def reducer_override(self, value: object) -> Any:  # noqa: ANN401 - as `object.__reduce__`
        if isinstance(value, PurePath):
            return Path, (str(self._paths.there(value)),)
        return NotImplemented


class _Unpacking(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, paths: PathMap) -> None:
        super().__init__(stream)
        self._paths = paths

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as in the base class
        found: Callable[..., PurePath] = super().find_class(module, name)
        if isinstance(found, type) and issubclass(found, PurePath):
            return lambda *parts: self._paths.here(found(*parts))
        return found


def _moved(path: Path, pairs: Iterable[tuple[Path, Path]]) -> Path:
    fitting = [pair for pair in pairs if path.is_relative_to(pair[0])]
    if not fitting:
        return path
    source, target = max(fitting, key=lambda pair: len(pair[0].parts))
    return target / path.relative_to(source)
