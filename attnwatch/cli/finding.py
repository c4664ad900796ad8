"""The findings of `attnwatch doctor`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Level = Literal["ok", "warning", "problem"]

MOST_LISTED = 3


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        level: `warning` if the watcher works with delays or for some videos only, `problem` if it cannot work.
        text: description of what was found.
        remedy: what to do about it; None if nothing is needed.

    """

    level: Level
    text: str
    remedy: str | None = None


def listed(paths: Sequence[Path | str]) -> str:
    """Return the first few paths, in one line."""
    names = [str(path) for path in paths[:MOST_LISTED]]
    return ", ".join(names) + (", ..." if len(paths) > MOST_LISTED else "")
