"""What the kernel is asked that Python has no words for. Each is a no-op where there is no such call."""

import ctypes
import platform
import signal
import sys
import time
from pathlib import Path

# Looked up at once: in a process that was just forked nothing may be imported.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_AUTOGROUP, _AUTOGROUP_WAIT = Path("/proc/self/autogroup"), 0.11
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IOPRIO_WHO_PROCESS = 1
_IOPRIO_IDLE = 3 << 13


def end_with_parent() -> None:
    """Ask for SIGKILL as soon as the thread that forked this process ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def read_and_write_when_idle() -> None:
    """Let the disk serve everyone else first."""
    number = _IOPRIO_SET.get(platform.machine())
    if _LIBC is not None and number is not None:
        _LIBC.syscall(number, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_IDLE)


def be_nice_as_a_session(niceness: int) -> None:
    """Give this process's session a niceness, where the scheduler weighs sessions against each other, sched(7).

    There, niceness counts among the processes of one session only.
    """
    for _ in range(2):
        try:
            _AUTOGROUP.write_text(str(niceness))
        except BlockingIOError:  # at most once in a tenth of a second, for anyone but root
            time.sleep(_AUTOGROUP_WAIT)
        except OSError:
            return
        else:
            return


def _prctl(option: int, value: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)
