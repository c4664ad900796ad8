"""A rendered video in memory, which notebooks display."""

from base64 import b64encode
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from attnwatch.library.files import PathName
from attnwatch.system.files import write_file


@dataclass(frozen=True)
class Clip:
    """A rendered video that notebooks display: `data` is H.264 in MP4, `name` is the file name used by the watcher."""

    name: str
    data: bytes = field(repr=False)

    def _repr_html_(self) -> str:
        source = f"data:video/mp4;base64,{b64encode(self.data).decode()}"
        return f'<video controls loop title="{escape(self.name)}" style="max-width: 100%" src="{source}"></video>'

    def save(self, path: PathName) -> Path:
        """Write the file atomically and return its path."""
        write_file(Path(path), self.data)
        return Path(path)
