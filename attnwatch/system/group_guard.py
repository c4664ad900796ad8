"""Kills process groups once this process is gone, even after SIGKILL."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator

# `read` fails at end of file, which the kernel delivers however the writer ended.
_SCRIPT = """
trap "" HUP INT TERM
groups=" "
while read -r change group; do
    case $change in
        add) groups="$groups$group " ;;
        remove) groups="${groups%% "$group" *} ${groups#* "$group" }" ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
"""
_END_TIME = 1.0  # seconds the guard may take to end


class GroupGuard:
    """A child process that outlives this one just long enough to kill the process groups it was given.

    PR_SET_PDEATHSIG does less: it reaches one process instead of its group, and it fires when a thread ends.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603 - a constant script
            ["/bin/sh", "-c", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )

    @contextlib.contextmanager
    def over(self, group: int) -> Iterator[None]:
        """Guard a process group during the context. Safe to call from several threads."""
        self._tell(f"add {group}\n")
        try:
            yield
        finally:
            self._tell(f"remove {group}\n")

    def close(self) -> None:
        """End the guard; it kills the groups that are still in its care."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_TIME)

    def _tell(self, line: str) -> None:
        # If the guard itself was killed, commands still run, unguarded.
        with self._lock, contextlib.suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.write(line.encode())
