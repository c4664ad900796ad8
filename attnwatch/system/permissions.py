"""Says who this process is, why a folder cannot be read or written, and what to do."""

import os
import pwd
import stat
from pathlib import Path

from attnwatch.system.shortage import read_only


def user() -> str:
    """Return the name of the user that this process runs as; the number where the system knows no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def unreadable(folder: Path) -> str | None:
    """Return why a folder cannot be listed and entered; None if it can."""
    if os.access(folder, os.R_OK | os.X_OK):
        return None
    return f"{folder} cannot be read by user {user()}; change its permissions, or run as its owner"


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
    denied = f"{folder} cannot be written by user {user()}; change its permissions, or run as its owner"
    return read_only(folder) or denied
