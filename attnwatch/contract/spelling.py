"""Finds files that are on disk in another spelling than in their manifest.

macOS stores names in another Unicode normal form than most programs write them, some copies keep that, and programs on
Windows separate folders by a backslash. A spelling counts only if no file has the exact name, and exactly one file can
be meant. Only names are looked at here; whether a file may be opened is checked wherever it is opened.
"""

import os
import unicodedata
from pathlib import Path

from attnwatch.contract.documents import ManifestDocument


def with_names_on_disk(document: ManifestDocument, folder: Path) -> ManifestDocument:
    """Return a manifest with the names that its files have on disk.

    Args:
        document: the manifest as written.
        folder: the folder that its paths start from.

    """
    written = (document.video, *document.attention, *document.files)
    found = {name: name_on_disk(folder, name) for name in written if _may_differ(name)}
    if all(name == other for name, other in found.items()):
        return document
    changed = {
        "video": found.get(document.video, document.video),
        "attention": tuple(found.get(name, name) for name in document.attention),
        "files": {found.get(name, name): record for name, record in document.files.items()},
    }
    return document.model_copy(update=changed)


def name_on_disk(folder: Path, name: str) -> str:
    """Return the path that a file has on disk below a folder; the name itself if there is none, or more than one."""
    if os.path.lexists(folder / name):
        return name
    parts = name.replace("\\", "/").split("/")
    if not all(parts) or ".." in parts:
        return name
    found: list[str] = []
    for part in parts:
        entry = _entry(folder.joinpath(*found), part)
        if entry is None:
            return name
        found.append(entry)
    return "/".join(found)


def _may_differ(name: str) -> bool:
    return "\\" in name or not name.isascii()


def _entry(folder: Path, name: str) -> str | None:
    """Return the name of the only entry of a folder that is spelled like this; None if there is not exactly one."""
    if os.path.lexists(folder / name):
        return name
    wanted = unicodedata.normalize("NFC", name)
    try:
        entries = os.listdir(folder)  # noqa: PTH208 - a Path per file costs more than the listing
    except OSError:
        return None
    fitting = [entry for entry in entries if unicodedata.normalize("NFC", entry) == wanted]
    return fitting[0] if len(fitting) == 1 else None
