"""The files of the page, as they are installed."""

from importlib.resources import files
from importlib.resources.abc import Traversable


def static_files() -> dict[str, Traversable]:
    """Return all files of the page by their paths below `static/`."""
    found, folders = dict[str, Traversable](), [("", files("attnwatch.web") / "static")]
    while folders:
        above, folder = folders.pop()
        for one in folder.iterdir():
            if one.is_dir():
                folders.append((f"{above}{one.name}/", one))
            elif one.is_file():
                found[f"{above}{one.name}"] = one
    return found
