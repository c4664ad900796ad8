"""Where matplotlib keeps its list of fonts, also where nothing in the home directory can be written.

Left to itself it makes a folder per process then, complains each time, and fails where there is no /tmp. One folder for
all processes of a run costs the list once.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, MutableMapping
from pathlib import Path

_VARIABLE, _PREFIX = "MPLCONFIGDIR", "attnwatch-matplotlib-"
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it


@contextlib.contextmanager
def matplotlib_folder(environment: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """Give matplotlib a temporary folder for the time of the context, if it can write none of its own.

    Enter it before matplotlib is imported, and before processes are started that import it.
    """
    if all(map(_could_be_written, _own_folders(environment))):
        yield
        return
    folder = _temporary_folder()
    if folder is None:  # it says by itself what is missing, once it is needed
        yield
        return
    before = environment.get(_VARIABLE)
    environment[_VARIABLE] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if before is None:
            environment.pop(_VARIABLE, None)
        else:
            environment[_VARIABLE] = before


def is_temporary(variable: str, value: str) -> bool:
    """Tell whether a variable was set by `matplotlib_folder`, and dies with this process."""
    return variable == _VARIABLE and Path(value).name.startswith(_PREFIX)


def _own_folders(environment: MutableMapping[str, str]) -> list[Path]:
    """Return the folders that matplotlib would write to."""
    if environment.get(_VARIABLE):
        return [Path(environment[_VARIABLE])]
    home = Path(environment.get("HOME") or "/nonexistent")
    config = environment.get("XDG_CONFIG_HOME") or home / ".config"
    cache = environment.get("XDG_CACHE_HOME") or home / ".cache"
    return [Path(config) / "matplotlib", Path(cache) / "matplotlib"]


def _could_be_written(folder: Path) -> bool:
    """Tell whether a folder can be written, or could be made."""
    for path in (folder, *folder.parents):
        if os.path.lexists(path):
            return os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)  # noqa: PTH112 - Path's may raise
    return False


def _temporary_folder() -> str | None:
    for place in (None, _MEMORY):
        with contextlib.suppress(OSError):
            return tempfile.mkdtemp(prefix=_PREFIX, dir=place)
    return None
