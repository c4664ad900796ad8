"""Reads the small JSON files of an older generator, which may still be writing them.

The watcher itself reads them, so what they may cost is limited: all records of a batch share one `Allowance`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnwatch.contract.reading import most_values_in
from attnwatch.system.files import read_regular

_MOST_BYTES, _MOST_VALUES = 16 * 2**20, 500_000


@dataclass
class Allowance:
    """What some files may still contain, together.

    Attributes:
        bytes: their size.
        values: number of their JSON values, which decides about time and memory.

    """

    bytes: int = _MOST_BYTES
    values: int = _MOST_VALUES

    @classmethod
    def of_a_batch(cls) -> "Allowance":
        """Return what the records of a batch may contain: enough for 50,000 videos."""
        return cls(64 * 2**20, 1_000_000)


def read_object(path: Path, allowance: Allowance | None = None) -> dict[str, Any] | None:
    """Return the JSON object in a file; None if the file is missing, incomplete, too large or holds something else.

    Args:
        path: the file.
        allowance: what is left for it and other files; it is charged. None for that of one file.

    """
    left = allowance or Allowance()
    if left.bytes < 0 or left.values < 0:
        return None
    try:
        data = read_regular(path, left.bytes + 1) or b""
        left.bytes -= len(data)
        left.values -= most_values_in(data)
        if left.bytes < 0 or left.values < 0:
            return None
        found = json.loads(data)
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
