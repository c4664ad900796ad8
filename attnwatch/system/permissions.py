"""Says why a folder cannot be written, and what to do."""

import os
import stat
from pathlib import Path

from attnwatch.system.shortage import read_only


def unwritable(folder: Path) -> str | None:
    """Return why a folder cannot be written, or created; None if it can."""
    try:
        mode = os.lstat(folder).st_mode
    except FileNotFoundError:
        folder, mode = next((above for above in folder.parents if above.exists()), folder), stat.S_IFDIR
    except OSError as error:
        return f"{folder}: {error.strerror}"
    if not stat.S_ISDIR(mode):  # a link might lead anywhere
        found = "a link" if stat.S_ISLNK(mode) else "a file"
        return f"{folder}: found {found}; expected a folder for the outputs; remove it"
    if os.access(folder, os.W_OK | os.X_OK):
        return None
    denied = f"{folder} cannot be written by user {os.geteuid()}; change its permissions, or run as its owner"
    return read_only(folder) or denied
