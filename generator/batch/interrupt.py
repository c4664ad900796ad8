"""Stops generation between two denoising steps after SIGINT (Ctrl+C) or SIGTERM."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_GLANCE = 0.2
"""Seconds: sleeping goes on after a signal."""
_SAME = 0.5
"""Seconds in which the same signal is still the first one: `scancel` sends it to every process of a job, and a script
of the job may pass it on."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """Raised inside a pipeline call to abandon the video that is being denoised.

    Not an `Exception`, so that no handler on its way takes it for a failure.
    """


class StopRequest:
    """Remembers the first signal; a second one ends the process at once."""

    def __init__(self, before_exit: Callable[[], None]) -> None:
        """``before_exit`` restores the terminal."""
        self.signal: int | None = None
        self._since = 0.0
        self._before_exit = before_exit

    @property
    def exit_code(self) -> int:
        """128 plus the signal's number, as in shells: 130 for Ctrl+C, 143 for SIGTERM."""
        return 128 + (self.signal or 0)

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        now = time.monotonic()
        if self.signal is not None:
            if number == self.signal and now - self._since < _SAME:
                return
            self._before_exit()
            os._exit(128 + number)
        self.signal, self._since = number, now
        # Not logged: a signal handler must not take the locks of logging.
        os.write(2, b"\nstopping after this denoising step; a second signal stops at once\n")

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than until a signal comes."""
        end = time.monotonic() + seconds
        while self.signal is None and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _GLANCE))

    def raise_if_stopped(self) -> None:
        """Raise Stopped if a signal came."""
        if self.signal is not None:
            raise Stopped


@contextmanager
def stop_on_signals(before_exit: Callable[[], None]) -> Iterator[StopRequest]:
    """Remember signals inside the context; restore the previous handlers afterwards.

    This includes signals that were ignored: shells start background jobs of scripts with SIGINT ignored, and a stop
    that is sent to such a job must not be lost.
    """
    request = StopRequest(before_exit)
    before = {number: signal.signal(number, request.receive) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
