"""Mounts a file system without working locks, such as NFS whose lock server is down."""

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path

import pytest

from tests.support import wait_until

_REPOSITORY = Path(__file__).parents[1]
_DETACHED = 2  # MNT_DETACH: whatever still uses it


@contextlib.contextmanager
def without_locks(folder: Path) -> Iterator[Path]:
    """Mount an empty file system without working locks for the duration of the context; yield where.

    Skips the test where that is impossible.
    """
    if not os.access("/dev/fuse", os.W_OK) or find_library("fuse3") is None:
        pytest.skip("needs FUSE (Debian: fuse3)")
    pytest.importorskip("mfusepy", reason="needs mfusepy")
    shown, mount = folder / "shown", folder / "mount"
    shown.mkdir()
    mount.mkdir()
    command = [sys.executable, "-m", "tests.lockless_mount", str(shown), str(mount)]
    with subprocess.Popen(command, cwd=_REPOSITORY, stdin=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: mount.is_mount() or process.poll() is not None, about="the mount")
            if process.poll() is not None:
                pytest.skip("mounting by FUSE is not allowed here")
            yield mount
        finally:
            ctypes.CDLL(None).umount2(os.fsencode(mount), _DETACHED)
            process.terminate()
