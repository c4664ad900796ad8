"""Stopping between two denoising steps when the user or the system asks for it."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """Raised inside a pipeline call to abandon the video that is being denoised.

    No `Exception`, so that nothing on its way takes it for a failure.
    """


class StopRequest:
    """Remembers the first signal; the second one ends the process at once."""

    def __init__(self, before_exit: Callable[[], None]) -> None:
        """``before_exit`` puts the terminal in order."""
        self.signal: int | None = None
        self._before_exit = before_exit

    @property
    def exit_code(self) -> int:
        """128 plus the signal's number, as shells have it: 130 for Ctrl+C, 143 for SIGTERM."""
        return 128 + (self.signal or 0)

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.signal is not None:
            self._before_exit()
            os._exit(128 + number)
        self.signal = number
        # Written past the log, which a signal handler must not enter.
        os.write(2, b"\nstopping after this denoising step; once more stops at once\n")

    def raise_if_stopped(self) -> None:
        """Raise Stopped if a signal came."""
        if self.signal is not None:
            raise Stopped


@contextmanager
def stop_on_signals(before_exit: Callable[[], None]) -> Iterator[StopRequest]:
    """Let signals only be remembered inside; the handlers from before are restored afterwards."""
    request = StopRequest(before_exit)
    before = {number: signal.signal(number, request.receive) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
