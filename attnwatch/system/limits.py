"""Limits memory, processor time and file size of a rendering, and lowers its priority for cores and disks."""

import contextlib
import math
import os
import resource
from dataclasses import dataclass
from pathlib import Path

from attnwatch.system.kernel import be_nice_as_a_session, read_and_write_when_idle

LARGEST_FILE = 8 * 2**30
"""Largest file in bytes that a rendering may write. Outputs have a few MiB; decompressed maps are larger."""

_SPARE_SECONDS = 10
_STATUS = Path("/proc/self/status")

SINGLE_THREADED = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""Environment that limits numeric libraries to one thread each; set it before they are imported."""


@dataclass(frozen=True)
class Limits:
    """Resource limits of a job's process.

    Attributes:
        seconds: time limit, enforced by the process that started it; also bounds its processor time.
        threads: number of threads working at the same time.
        memory: bytes of its own data, not counting mapped files; None for no limit.
        nice: increment of its niceness.

    """

    seconds: float
    threads: int = 1
    memory: int | None = None
    nice: int = 0

    def impose(self) -> None:
        """Restrict this process and lower its priority. What the system refuses stays as it is."""
        self.restrict()
        with contextlib.suppress(OSError):
            os.nice(self.nice)
        be_nice_as_a_session(self.nice)
        read_and_write_when_idle()

    def restrict(self) -> None:
        """Set the resource limits of this process. What the system refuses stays as it is."""
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_FSIZE, LARGEST_FILE)
        _limit(resource.RLIMIT_CPU, math.ceil(self.seconds * (self.threads + 1)) + _SPARE_SECONDS)
        if self.memory is not None:
            # Not RLIMIT_AS: it counts mapped files, and tensor files may be larger than memory.
            _limit(resource.RLIMIT_DATA, self.memory)


def room() -> int | None:
    """Return the bytes of own data that this process may still allocate; None if there is no limit."""
    most, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY:
        return None
    return max(0, most - own_data())


def own_data() -> int:
    """Return the bytes of this process's own data, as its memory limit counts them; 0 if the system does not tell."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(what, (most, hard))
