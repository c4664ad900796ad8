"""A rendered video in memory, which notebooks display."""

from base64 import b64encode
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from attnwatch.errors import ConfigError
from attnwatch.library.files import PathName
from attnwatch.system.files import write_file

_OTHERS = (".gif", ".webp")  # moving pictures that are no MP4, which users may hope for


@dataclass(frozen=True)
class Clip:
    """A rendered video that notebooks display: `data` is H.264 in MP4, `name` is the file name used by the watcher."""

    name: str
    data: bytes = field(repr=False)

    def _repr_html_(self) -> str:
        source = f"data:video/mp4;base64,{b64encode(self.data).decode()}"
        return f'<video controls loop title="{escape(self.name)}" style="max-width: 100%" src="{source}"></video>'

    def save(self, path: PathName) -> Path:
        """Write the file atomically and return its path.

        Raises:
            ConfigError: the name is that of another kind of file, which a player would not take.

        """
        if Path(path).suffix.lower() in _OTHERS:
            raise ConfigError(
                f"found {Path(path).name}; expected a name that ends in .mp4; for slides, `attnwatch compose` makes "
                ".gif and .webp"
            )
        write_file(Path(path), self.data)
        return Path(path)
