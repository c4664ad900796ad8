"""How far the locks of a file system reach: whether a lock that one machine holds is seen by the others that mount it.

A lock that does not reach another machine is granted there, too, without an error. Options: nfs(5), mount.lustre(8),
mount.cifs(8), ocfs2(7), mount.fuse3(8).
"""

from dataclasses import dataclass
from typing import Literal

from attnwatch.system.mounts import FileSystem

Reach = Literal["all", "this", "unknown"]


@dataclass(frozen=True)
class LockReach:
    """How far locks reach.

    Attributes:
        machines: which machines see them: all that mount the file system, only this one, or it is not known.
        reason: why: the type of the file system, with the option that decides it.
        remedy: the option to mount it with, so that they reach all; None if there is none.

    """

    machines: Reach
    reason: str
    remedy: str | None = None


# Options that keep locks on this machine, and how to mount it instead.
_KEPT_HERE = {
    "nfs": (("nolock", "local_lock=all", "local_lock=flock"), "without nolock and local_lock"),
    "nfs4": (("nolock", "local_lock=all", "local_lock=flock"), "without nolock and local_lock"),
    "lustre": (("localflock",), "-o flock"),
    "cifs": (("nobrl", "nolock"), "without nobrl"),
    "smb3": (("nobrl", "nolock"), "without nobrl"),
    "ocfs2": (("localflocks",), "without localflocks"),
    "gfs2": (("localflocks", "lockproto=lock_nolock"), "without localflocks"),
}
_REACHING = frozenset({*_KEPT_HERE, "ceph", "fuse.ceph-fuse", "gpfs", "fuse.glusterfs"})
# Of a virtual machine and its host, and of sshfs: the other side is not asked.
_NOT_REACHING = frozenset({"virtiofs", "vboxsf", "vmhgfs", "fuse.vmhgfs-fuse", "prl_fs", "drvfs", "fuse.sshfs"})


def lock_reach(system: FileSystem) -> LockReach | None:
    """Return how far the locks of a file system reach; None if no other machine can have it."""
    if system.events != "none":
        return None
    options, remedy = _KEPT_HERE.get(system.kind, ((), None))
    for option in options:
        if option in system.options:
            return LockReach("this", f"{system.kind} with {option}", remedy)
    if system.kind == "lustre" and "flock" not in system.options:
        return LockReach("this", "lustre without flock", remedy)
    if system.kind in _NOT_REACHING:
        return LockReach("this", system.kind)
    return LockReach("all" if system.kind in _REACHING else "unknown", system.kind)
