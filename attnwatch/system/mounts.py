"""On which file system does a path lie, and do file events tell of everything that happens there?

The kernel reports what passes through its own mount. What another machine writes to a network share, or what is written
below an overlay, it never sees. Format of the table: proc_pid_mountinfo(5).
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MOUNTINFO = Path("/proc/self/mountinfo")

Events = Literal["trusted", "partial", "none"]

# Written to by this kernel alone.
_LOCAL = frozenset(
    {
        *("bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfsplus", "jfs", "msdos", "nilfs2", "ntfs3"),
        *("ramfs", "reiserfs", "rootfs", "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs"),
    }
)
# Written to by other machines, or by the host of this virtual machine.
_SHARED = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "drvfs", "gfs2", "gpfs", "lustre", "nfs", "nfs4", "ocfs2"),
        *("orangefs", "prl_fs", "pvfs2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs", "wekafs"),
    }
)
# Through FUSE, and yet on a disk of this machine.
_LOCAL_FUSE = frozenset({"fuse", "fuseblk", "fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.bindfs"})


@dataclass(frozen=True)
class FileSystem:
    """One mounted file system.

    Attributes:
        mount_point: where it is mounted.
        kind: its type, such as `ext4` or `nfs4`.
        source: device, share or name.
        options: of the mount and of the file system.
        events: whether file events tell everything (`trusted`), what this machine does through this mount only
            (`partial`), or nothing of what others write (`none`).
        reason: why, in words.

    """

    mount_point: Path
    kind: str
    source: str
    options: frozenset[str]
    events: Events
    reason: str

    @property
    def polled(self) -> bool:
        """Whether it has to be scanned often, because events do not tell everything."""
        return self.events != "trusted"

    @property
    def read_only(self) -> bool:
        """Whether it is mounted read-only."""
        return "ro" in self.options


def read_mountinfo() -> str:
    """Return this process's table of mounts; nothing where there is none to read."""
    try:
        return MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def parse_mountinfo(text: str) -> tuple[FileSystem, ...]:
    """Return the file systems of a table of mounts, in its order; lines that are no mount are passed over."""
    return tuple(system for line in text.split("\n") if (system := _parse_line(line)) is not None)


def file_system_of(path: Path, mounts: Iterable[FileSystem]) -> FileSystem:
    """Return the file system that a path lies on, or would lie on; links are followed."""
    real = Path(os.path.realpath(path))
    found: FileSystem | None = None
    for system in mounts:
        covers = real.is_relative_to(system.mount_point)
        # Of two at one place the later one covers the earlier one.
        if covers and (found is None or len(system.mount_point.parts) >= len(found.mount_point.parts)):
            found = system
    return found or FileSystem(Path("/"), "unknown", "", frozenset(), "partial", f"{MOUNTINFO} does not name its mount")


def file_systems_below(path: Path, mounts: Iterable[FileSystem]) -> tuple[FileSystem, ...]:
    """Return the file system of a path first, then those that are mounted below it."""
    mounts = tuple(mounts)
    real = Path(os.path.realpath(path))
    inner = {m.mount_point: m for m in mounts if m.mount_point != real and m.mount_point.is_relative_to(real)}
    return file_system_of(path, mounts), *inner.values()


# Not \S: it would stop at any blank of Unicode, which the kernel does not escape.
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
        return "trusted", f"{kind} is local: file events tell of every change"
    if kind == "overlay":
        return "partial", "overlay: what is written to its layers from outside makes no file events"
    if kind in _LOCAL_FUSE:
        return "partial", f"{kind}: what does not pass through this mount makes no file events"
    if kind in _SHARED or kind.startswith("fuse."):
        return "none", f"{kind} is shared: what other machines write makes no file events"
    return "partial", f"{kind} is not known here: file events may miss changes"


def _unescape(text: str) -> str:
    """Undo the kernel's octal escapes of space, tab, newline and backslash."""
    raw = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8) & 0xFF]), os.fsencode(text))
    return os.fsdecode(raw)
