"""Gives matplotlib a writable folder for its font list when the usual ones cannot be written.

Otherwise each process makes a temporary folder of its own, warns about it, and fails where there is no /tmp.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_VARIABLE = "MPLCONFIGDIR"
_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a private folder in it


@contextlib.contextmanager
def matplotlib_folder() -> Iterator[None]:
    """Set MPLCONFIGDIR to a temporary folder during the context, if matplotlib could not write its usual folders.

    Enter it before matplotlib is imported, and before processes are started that import it.
    """
    folder = None if _usual_folders_are_writable() else _temporary_folder()
    if folder is None:  # matplotlib reports what is missing if it needs it
        yield
        return
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if before is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = before


def _usual_folders_are_writable() -> bool:
    """Whether matplotlib could write its configuration and its cache where it keeps them by default."""
    if own := os.environ.get(_VARIABLE):
        return _is_writable(Path(own))
    try:
        home = Path.home()
    except RuntimeError:  # the user has none
        return False
    variables = {"XDG_CONFIG_HOME": home / ".config", "XDG_CACHE_HOME": home / ".cache"}
    return all(_is_writable(Path(os.environ.get(name) or usual, "matplotlib")) for name, usual in variables.items())


def _is_writable(folder: Path) -> bool:
    """Whether a folder can be written, or created."""
    nearest = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), folder)
    return os.path.isdir(nearest) and os.access(nearest, os.W_OK | os.X_OK)  # noqa: PTH112 - Path.is_dir may raise


def _temporary_folder() -> str | None:
    for place in (None, _MEMORY):
        with contextlib.suppress(OSError):
            return tempfile.mkdtemp(prefix="attnwatch-matplotlib-", dir=place)
    return None
