"""Reads the small JSON files of an older generator, which may still be writing them."""

import json
import os
import stat
from pathlib import Path
from typing import Any

_MOST_BYTES = 64 * 2**20  # about the size for a batch of 50,000 videos


def read_object(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None if the file is missing, incomplete or holds something else."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            found = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
