"""Reads the small JSON files of an older generator, which may still be writing them."""

import json
from pathlib import Path
from typing import Any

from attnwatch.system.files import read_regular

_MOST_BYTES = 64 * 2**20  # about the size for a batch of 50,000 videos


def read_object(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None if the file is missing, incomplete or holds something else."""
    try:
        found = json.loads(read_regular(path, _MOST_BYTES) or b"")
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
