"""Small JSON files that an older generator wrote, and may be writing right now."""

import json
import os
import stat
from pathlib import Path
from typing import Any

_MOST_BYTES = 64 * 2**20  # a batch of 50,000 videos has about as much


def read_object(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None where there is none, or not all of one."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            found = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
