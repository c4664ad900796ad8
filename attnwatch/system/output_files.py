"""Checks the names of files that a user asks to be written, before anything is computed for them."""

import os
from collections.abc import Sequence
from pathlib import Path

from attnwatch.errors import ConfigError
from attnwatch.system.permissions import unwritable


def require_writable(path: Path, suffixes: Sequence[str]) -> str:
    """Return the suffix of a file that will be written, in lower case.

    Raises:
        ConfigError: as for `require_suffix` and `require_place`.

    """
    suffix = require_suffix(path, suffixes)
    require_place(path)
    return suffix


def require_suffix(path: Path, suffixes: Sequence[str]) -> str:
    """Return the suffix of a file name in lower case.

    Raises:
        ConfigError: it is none of those, two or more, of the formats that can be written.

    """
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        expected = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise ConfigError(f"found {path.name}; expected a name that ends in {expected}; choose one of these formats")
    return suffix


def require_place(path: Path) -> None:
    """Check that a file can be where it will be written.

    Raises:
        ConfigError: its folder does not exist or cannot be written, or it is a folder itself.

    """
    if not os.path.isdir(path.absolute().parent):  # noqa: PTH112 - Path.is_dir raises if permission is denied
        raise ConfigError(f"found no folder {path.parent} for {path.name}; expected an existing one; create it")
    if (problem := unwritable(path.absolute().parent)) is not None:
        raise ConfigError(f"{path.name} cannot be made: {problem}")
    if os.path.isdir(path):  # noqa: PTH112
        raise ConfigError(f"found the folder {path}; expected the name of a file; add one")
