"""Lets a group that shares a folder go on with what a watcher of one of its members has made there.

The umask of a login is usually 022: what it makes cannot be written by others of the group, even in a folder that they
may write to. If its watcher is killed, theirs could neither take its locks nor work in its folders.
"""

import contextlib
import os
import stat


def share(made: int, folder: int) -> None:
    """Give the group the same rights to a new file or folder as it has to the folder around it.

    Args:
        made: descriptor of what this process has just created.
        folder: descriptor of the folder around it.

    """
    above, status = os.fstat(folder).st_mode, os.fstat(made)
    if not above & stat.S_IWGRP or status.st_uid != os.geteuid():
        return
    executable = stat.S_IXGRP if stat.S_ISDIR(status.st_mode) else 0
    mode = stat.S_IMODE(status.st_mode)
    wanted = mode | (above & (stat.S_IRGRP | stat.S_IWGRP | executable))
    if wanted != mode:
        # By its name in /proc, because a descriptor that only stands for a place takes no fchmod. In a service that may
        # not touch the setgid bit of the folder this is denied; its umask is 002.
        with contextlib.suppress(OSError):
            os.chmod(f"/proc/self/fd/{made}", wanted)  # noqa: PTH101 - Path would not make it clearer
