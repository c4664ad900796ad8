"""What one rendering may use: memory, processor time, file size, and only what nobody else wants of cores and disks."""

import contextlib
import math
import os
import resource
from dataclasses import dataclass

from attnwatch.system.kernel import be_nice_as_a_session, read_and_write_when_idle

LARGEST_FILE = 8 * 2**30
"""Bytes of the largest file that a rendering may write: an output has a few megabytes, decompressed maps have more."""

_SPARE_SECONDS = 10

SINGLE_THREADED = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""Environment that keeps numeric libraries to one thread each; it counts when they are first imported."""


@dataclass(frozen=True)
class Limits:
    """What a job's process may use.

    Attributes:
        seconds: wall-clock time, which whoever started the process watches over.
        threads: at work at the same time.
        memory: bytes of its own data; files that it maps do not count.
        nice: added to its niceness.

    """

    seconds: float
    threads: int = 1
    memory: int | None = None
    nice: int = 0

    def impose(self) -> None:
        """Put this process under its limits, and behind all others. What the system refuses is left as it is."""
        self.restrict()
        with contextlib.suppress(OSError):
            os.nice(self.nice)
        be_nice_as_a_session(self.nice)
        read_and_write_when_idle()

    def restrict(self) -> None:
        """Limit what this process may use. What the system refuses is left as it is."""
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_FSIZE, LARGEST_FILE)
        _limit(resource.RLIMIT_CPU, math.ceil(self.seconds * (self.threads + 1)) + _SPARE_SECONDS)
        if self.memory is not None:
            # Not RLIMIT_AS: that counts every file that is mapped, and tensor files may be larger than memory.
            _limit(resource.RLIMIT_DATA, self.memory)


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(what, (most, hard))
