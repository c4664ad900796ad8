"""Gives matplotlib and fontconfig a writable folder for their lists of fonts when the usual ones cannot be written.

Otherwise each process of matplotlib makes a temporary folder of its own, warns about it, and fails where there is no
/tmp; and `fc-list`, by which matplotlib finds the fonts of the system, complains in the log.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_MATPLOTLIB = "MPLCONFIGDIR"
_FONTCONFIG = "XDG_CACHE_HOME"
_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a private folder in it


@contextlib.contextmanager
def writable_font_folders() -> Iterator[None]:
    """Set MPLCONFIGDIR and XDG_CACHE_HOME to a temporary folder during the context, each if it is needed.

    Enter it before matplotlib is imported, and before processes are started that import it.
    """
    needed = _variables_to_set()
    folder = _temporary_folder() if needed else None
    if folder is None:  # matplotlib reports what is missing if it needs it
        yield
        return
    before = {name: os.environ.get(name) for name in needed}
    os.environ.update(dict.fromkeys(needed, folder))
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _variables_to_set() -> list[str]:
    """Name the variables of which a folder could not be written."""
    return [name for name, folders in _usual_folders().items() if not all(map(_is_writable, folders))]


def _usual_folders() -> dict[str, list[Path]]:
    """Return where matplotlib and fontconfig keep what they know of fonts, by the variable that moves it."""
    try:
        home = Path.home()
    except RuntimeError:  # the user has none
        home = Path(os.devnull)
    cache = Path(os.environ.get(_FONTCONFIG) or home / ".cache")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    own = os.environ.get(_MATPLOTLIB)
    return {
        _MATPLOTLIB: [Path(own)] if own else [config / "matplotlib", cache / "matplotlib"],
        _FONTCONFIG: [cache / "fontconfig"],
    }


def _is_writable(folder: Path) -> bool:
    """Whether a folder can be written, or created."""
    nearest = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), folder)
    return os.path.isdir(nearest) and os.access(nearest, os.W_OK | os.X_OK)  # noqa: PTH112 - Path.is_dir may raise


def _temporary_folder() -> str | None:
    for place in (None, _MEMORY):
        with contextlib.suppress(OSError):
            return tempfile.mkdtemp(prefix="attnwatch-fonts-", dir=place)
    return None
