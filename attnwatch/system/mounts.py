"""Finds the file system of a path, and whether file events report every change there.

The kernel reports only changes made through its own mounts. It does not see what other machines write to a network
share, or what is written to the layers below an overlay. Format of the table: proc_pid_mountinfo(5).
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MOUNTINFO = Path("/proc/self/mountinfo")

Events = Literal["trusted", "partial", "none"]

# Written only by this kernel.
_LOCAL = frozenset(
    {
        *("bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfsplus", "jfs", "msdos", "nilfs2", "ntfs3"),
        *("ramfs", "reiserfs", "rootfs", "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs"),
    }
)
# Written by other machines, or by the host of this virtual machine.
_SHARED = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "drvfs", "gfs2", "gpfs", "lustre", "nfs", "nfs4", "ocfs2"),
        *("orangefs", "prl_fs", "pvfs2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs", "wekafs"),
    }
)
# FUSE file systems on disks of this machine.
_LOCAL_FUSE = frozenset({"fuse", "fuseblk", "fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.bindfs"})


@dataclass(frozen=True)
class FileSystem:
    """One mounted file system.

    Attributes:
        mount_point: where it is mounted.
        kind: its type, such as `ext4` or `nfs4`.
        source: device, share or name.
        options: options of the mount and of the file system.
        events: coverage of file events: all changes (`trusted`), only those this machine makes through this mount
            (`partial`), or none that other machines make (`none`).
        reason: explanation of `events`.

    """

    mount_point: Path
    kind: str
    source: str
    options: frozenset[str]
    events: Events
    reason: str

    @property
    def polled(self) -> bool:
        """Whether it must be scanned often, because events do not cover every change."""
        return self.events != "trusted"

    @property
    def read_only(self) -> bool:
        """Whether it is mounted read-only."""
        return "ro" in self.options


def read_mountinfo() -> str:
    """Return this process's table of mounts; an empty string if it cannot be read."""
    try:
        return MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def parse_mountinfo(text: str) -> tuple[FileSystem, ...]:
    """Return the file systems in a table of mounts, in its order; malformed lines are skipped."""
    return tuple(system for line in text.split("\n") if (system := _parse_line(line)) is not None)


def file_system_of(path: Path, mounts: Iterable[FileSystem]) -> FileSystem:
    """Return the file system of a path, which need not exist; links are followed."""
    real = Path(os.path.realpath(path))
    found: FileSystem | None = None
    for system in mounts:
        covers = real.is_relative_to(system.mount_point)
        # Of two mounts on one folder, the later one hides the earlier one.
        if covers and (found is None or len(system.mount_point.parts) >= len(found.mount_point.parts)):
            found = system
    return found or FileSystem(Path("/"), "unknown", "", frozenset(), "partial", f"{MOUNTINFO} does not name its mount")


def file_systems_below(path: Path, mounts: Iterable[FileSystem]) -> tuple[FileSystem, ...]:
    """Return the file system of a path, followed by those mounted below it."""
    mounts = tuple(mounts)
    real = Path(os.path.realpath(path))
    inner = {m.mount_point: m for m in mounts if m.mount_point != real and m.mount_point.is_relative_to(real)}
    return file_system_of(path, mounts), *inner.values()


# [^ ] instead of \S, which would stop at other Unicode spaces: the kernel does not escape those.
_LINE = re.compile(
    r"\d+ \d+ [^ ]+ [^ ]+ (?P<point>[^ ]+) (?P<options>[^ ]+)(?: [^ ]+)*"
    r" - (?P<kind>[^ ]+) (?P<source>[^ ]*)(?: (?P<more>[^ ]+))?"
)


def _parse_line(line: str) -> FileSystem | None:
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    options = frozenset(f"{found['options']},{found['more'] or ''}".split(",")) - {""}
    events, reason = _events(found["kind"])
    return FileSystem(
        Path(_unescape(found["point"])), found["kind"], _unescape(found["source"]), options, events, reason
    )


def _events(kind: str) -> tuple[Events, str]:
    if kind in _LOCAL:
        return "trusted", f"{kind} is local: file events report every change"
    if kind == "overlay":
        return "partial", "overlay: writing to its layers from outside causes no file events"
    if kind in _LOCAL_FUSE:
        return "partial", f"{kind}: changes made around this mount cause no file events"
    if kind in _SHARED or kind.startswith("fuse."):
        return "none", f"{kind} is shared: changes by other machines cause no file events"
    return "partial", f"{kind} is an unknown file system: file events may miss changes"


def _unescape(text: str) -> str:
    """Undo the kernel's octal escapes of space, tab, newline and backslash."""
    raw = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8) & 0xFF]), os.fsencode(text))
    return os.fsdecode(raw)
