"""Checks the paths in a manifest by their names and by links, without opening anything.

This says early what is wrong with them; where files are opened, nothing depends on it.
"""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from attnwatch.contract.names import OUTPUT_DIRECTORY
from attnwatch.errors import ManifestError, Problem
from attnwatch.system.folders import Links

MAX_DEPTH = 64
"""Components of a path in a manifest."""

_MOST_SHOWN = 200  # characters of a path
_IS_OUTPUT = f"is an output, as all files in {OUTPUT_DIRECTORY} are"


def locate(manifest: Path, field: str, name: str, passed: set[str] | None = None, links: Links = Links.NONE) -> Path:
    """Return the absolute path of a file that a manifest names. The file may be absent.

    Args:
        manifest: path of the manifest.
        field: field that names the file, for the error.
        name: relative path in that field.
        passed: folders that are known to be no links, as relative paths with a slash at the end; those on the way to
            the file are added. None to know nothing.
        links: `ALL` if the path may leave the directory through a link.

    Raises:
        ManifestError: the path leaves the manifest's directory through a link, is not that of a regular file, or names
            an output: its rendering would ask for the next one, for ever.

    """
    reason = _path_problem(manifest.parent, name, set() if passed is None else passed, links)
    if reason is None:
        return manifest.parent / name
    raise ManifestError(
        Problem(
            file=manifest,
            field=field,
            found=f"{_shown(name)} ({reason})",
            expected="the path of a regular file inside the manifest's directory, relative to it",
            remedy="keep the file in the manifest's directory and write its relative path",
        )
    )


def _shown(name: str) -> str:
    return repr(name) if len(name) <= _MOST_SHOWN else f"{name[:_MOST_SHOWN]!r}... ({len(name):,} characters)"


def _path_problem(directory: Path, name: str, passed: set[str], links: Links) -> str | None:
    parts = name.split("/")
    if len(parts) > MAX_DEPTH:
        return f"goes through more than {MAX_DEPTH} folders"
    if OUTPUT_DIRECTORY in parts:
        return _IS_OUTPUT
    up, below = way_up(name)
    if up:
        return _folder_problem(directory / up, below, links)
    try:
        if _has_link(directory, parts, passed):
            inside = _inside(directory, name)
            if inside is None and links is not Links.ALL:
                return "leaves the directory through a link"
            if inside is not None and OUTPUT_DIRECTORY in inside.parts:
                return _IS_OUTPUT
        mode = os.stat(directory / name).st_mode  # noqa: PTH116 - beside os.lstat
    except FileNotFoundError:
        return None
    except OSError as error:
        return error.strerror or str(error)
    return None if stat.S_ISREG(mode) else "not a regular file"


def way_up(name: str) -> tuple[str, str]:
    """Split a relative path into `../` and the rest; validation allows it for the tensors of an older batch only."""
    found = re.match(r"(?:\.\./)*", name)
    up = found[0] if found else ""
    return up, name[len(up) :]


def _folder_problem(batch: Path, name: str, links: Links) -> str | None:
    if not (batch / name).exists():
        return None
    inside = links is Links.ALL or _inside(batch, name) is not None
    return None if (batch / name).is_dir() and inside else "not a folder of the batch"


def _has_link(directory: Path, parts: Sequence[str], passed: set[str]) -> bool:
    """Whether a relative path goes through a link. Resolving every path would take most of the time of a scan."""
    known = f"{'/'.join(parts[:-1])}/" if len(parts) > 1 else ""
    if known and known not in passed:
        known = ""
        for part in parts[:-1]:
            known += f"{part}/"
            if known not in passed:
                if _is_link(f"{directory}/{known[:-1]}"):
                    return True
                passed.add(known)
    return _is_link(f"{directory}/{known}{parts[-1]}")


def _is_link(path: str) -> bool:
    return stat.S_ISLNK(os.lstat(path).st_mode)


def _inside(directory: Path, name: str) -> Path | None:
    """Return where a relative path leads to, relative to the directory; None if it leads out of it."""
    base, actual = Path(os.path.realpath(directory)), Path(os.path.realpath(directory / name))
    return actual.relative_to(base) if actual.is_relative_to(base) else None
