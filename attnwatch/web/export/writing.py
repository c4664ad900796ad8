"""Writes an exported page: all of it under a hidden name first, so that a folder of that name is complete."""

import base64
import json
import secrets
from pathlib import Path

from attnwatch.errors import ConfigError
from attnwatch.system.files import remove_tree
from attnwatch.system.folders import Folder
from attnwatch.web.export.bundle import copied_files, index_page
from attnwatch.web.export.content import Content, Part, packed

_DATA = "data"


def require_free(folder: Path) -> None:
    """Raise `ConfigError` if there is something in a folder, or if its parent is missing."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"found {folder}; expected a folder that does not exist yet, or is empty; choose another")
    if not folder.parent.is_dir():
        raise ConfigError(f"found no folder {folder.parent}; expected it for {folder.name}; make it, or choose another")


def write_page(content: Content, folder: Path) -> None:
    """Write a page.

    Args:
        content: what it holds.
        folder: where it is to be: a folder that does not exist, or an empty one.

    Raises:
        ConfigError: something is in the folder.
        AttnwatchError, OSError: something cannot be read or written.

    """
    require_free(folder)
    parts = list(content.parts())
    with Folder.open(folder.parent) as above:
        temporary = f".{folder.name}.{secrets.token_hex(4)}.tmp"
        above.make(temporary)
        try:
            with above.folder(temporary) as made:
                _write(content, parts, made, folder)
            if folder.is_dir():
                above.remove(folder.name)
            above.rename(temporary, above, folder.name)
        except BaseException:
            remove_tree(temporary, above)
            raise


def _write(content: Content, parts: list[Part], made: Folder, folder: Path) -> None:
    made.write("index.html", index_page().encode(), durable=False)
    for path, data in copied_files():
        above, _, name = path.rpartition("/")
        with made.folder(above, create=True, parents=True) as inside:
            inside.write(name, data, durable=False)
    with made.folder(_DATA, create=True) as data_folder:
        addresses = content.addresses(folder) if content.selection.linked else {}
        data_folder.write("films.js", _script("films", packed(json.dumps(addresses).encode())), durable=False)
        for part in parts:
            found = part.read()
            data_folder.write(
                f"{part.key}.js", _script(part.key, packed(found) if part.packed else found), durable=False
            )


def _script(key: str, data: bytes) -> bytes:
    """Return a script that hands data to the page: the only way in which a page from a folder may read a file."""
    return b'attnwatchData("%b","%b");\n' % (key.encode(), base64.b64encode(data))
