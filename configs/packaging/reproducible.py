"""Builds as setuptools does, but archives tell nothing of who made them when: the same sources give the same bytes.

Times are that of `SOURCE_DATE_EPOCH`; without it, those of the files, or of the newest in a source distribution.
"""

import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import (  # noqa: F401 - the other hooks are those of setuptools
    build_editable,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)


def build_sdist(sdist_directory: str, config_settings: dict[str, str] | None = None) -> str:
    """Build the source distribution and return its name."""
    name = build_meta.build_sdist(sdist_directory, config_settings)
    path = Path(sdist_directory, name)
    path.write_bytes(_normalised(path))
    return name


def build_wheel(
    wheel_directory: str, config_settings: dict[str, str] | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel and return its name."""
    name = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    path = Path(wheel_directory, name)
    content = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            member.external_attr = (stat.S_IFREG | _mode(member.external_attr >> 16)) << 16
            target.writestr(member, source.read(member))
    path.write_bytes(content.getvalue())
    return name


def _mode(mode: int) -> int:
    """Return the permissions of a file without those that depend on who checked it out."""
    return 0o755 if mode & stat.S_IXUSR else 0o644


def _normalised(path: Path) -> bytes:
    """Return an archive with its members in order, without owners, and with one time for all."""
    content = io.BytesIO()
    with tarfile.open(path) as source:
        members = sorted(source.getmembers(), key=lambda member: member.name)
        newest = max((int(member.mtime) for member in members), default=0)
        time = int(os.environ.get("SOURCE_DATE_EPOCH", newest))
        with (
            gzip.GzipFile("", "wb", 9, content, mtime=time) as compressed,
            tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as target,
        ):
            for member in members:
                member.uid = member.gid = 0
                member.uname = member.gname = ""
                member.mtime = time
                member.mode = 0o755 if member.isdir() else _mode(member.mode)
                member.pax_headers = {}
                target.addfile(member, source.extractfile(member) if member.isfile() else None)
    return content.getvalue()
