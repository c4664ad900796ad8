"""Which files and folders below a folder that a user has named are left out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True)
class Exclusion:
    """Patterns of names and paths to leave out.

    A pattern without `/` is that of a name, at any depth. One with `/` is that of a path below the folder that the user
    has named; `*` does not match a `/`, a whole component `**` matches any number of folders.

    Attributes:
        patterns: the patterns, as shells know them; with upper and lower case.
        above: the folders between the one that the user has named and the one that paths are relative to.

    """

    patterns: tuple[str, ...] = ()
    above: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def inside(self, folder: Path) -> "Exclusion":
        """Return the same for paths that are relative to a folder inside of this one, given by its relative path."""
        return replace(self, above=(*self.above, *folder.parts)) if self else self

    def matches(self, path: str) -> bool:
        """Return whether a pattern matches a relative path itself."""
        if not self.patterns:
            return False
        parts = (*self.above, *path.split("/"))
        return any(_matches(parts, pattern) for pattern in self.patterns)

    def covers(self, path: str) -> bool:
        """Return whether a pattern matches a relative path, or a folder above it."""
        if not self.patterns or path in ("", "."):
            return False
        parts = path.split("/")
        return any(self.matches("/".join(parts[:count])) for count in range(1, len(parts) + 1))


NOTHING = Exclusion()


def _matches(parts: Sequence[str], pattern: str) -> bool:
    wanted = [part for part in pattern.split("/") if part not in ("", ".")]
    return fnmatchcase(parts[-1], wanted[0]) if "/" not in pattern.rstrip("/") else _match(parts, wanted)


def _match(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether components match; only the last `**` tries again, else deep paths would take for ever."""
    at = tried = 0
    last: int | None = None
    while at < len(parts):
        asks = wanted[tried] if tried < len(wanted) else None
        if asks == "**":
            last, begun, tried = tried, at, tried + 1
        elif asks is not None and fnmatchcase(parts[at], asks):
            at, tried = at + 1, tried + 1
        elif last is not None:
            begun += 1
            at, tried = begun, last + 1
        else:
            return False
    return all(part == "**" for part in wanted[tried:])
