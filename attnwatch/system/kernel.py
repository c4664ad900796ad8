"""Linux calls that Python does not wrap; each does nothing on systems without the call."""

import ctypes
import platform
import signal
import sys
import time
from pathlib import Path

# Looked up now: a process that was just forked should not import anything.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_AUTOGROUP, _AUTOGROUP_WAIT = Path("/proc/self/autogroup"), 0.11
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IOPRIO_WHO_PROCESS = 1
_IOPRIO_IDLE = 3 << 13


def end_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send a signal to this process when the thread that forked it ends."""
    _prctl(_PR_SET_PDEATHSIG, number)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parents end."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def read_and_write_when_idle() -> None:
    """Give this process idle I/O priority, see ioprio_set(2)."""
    number = _IOPRIO_SET.get(platform.machine())
    if _LIBC is not None and number is not None:
        _LIBC.syscall(number, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_IDLE)


def be_nice_as_a_session(niceness: int) -> None:
    """Set the niceness of this process's session.

    With autogrouping, see sched(7), the scheduler weighs sessions against each other, and the niceness of a process
    counts only within its session.
    """
    for _ in range(2):
        try:
            _AUTOGROUP.write_text(str(niceness))
        except BlockingIOError:  # only root may set it more than once in a tenth of a second
            time.sleep(_AUTOGROUP_WAIT)
        except OSError:
            return
        else:
            return


def _prctl(option: int, value: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)
