"""Signal handlers that also wake the reconcile loop, through a socket."""

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from signal import SIG_BLOCK, SIG_UNBLOCK, SIGINT, SIGTERM, Signals, pthread_sigmask, set_wakeup_fd
from signal import signal as set_handler
from types import FrameType


@contextlib.contextmanager
def handling(
    handler: Callable[[int, FrameType | None], None], numbers: Sequence[Signals] = (SIGTERM, SIGINT)
) -> Iterator[socket.socket]:
    """Handle signals during the context; yield a socket that becomes readable when one arrives.

    They are unblocked, because a program that starts this one may have blocked them.
    """
    woken, waker = socket.socketpair()
    woken.setblocking(False)
    waker.setblocking(False)
    before = {number: set_handler(number, handler) for number in numbers}
    blocked = pthread_sigmask(SIG_UNBLOCK, numbers) & set(numbers)
    descriptor = set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    try:
        with woken, waker:
            yield woken
    finally:
        set_wakeup_fd(descriptor)
        for number, previous in before.items():
            set_handler(number, previous)
        pthread_sigmask(SIG_BLOCK, blocked)


def drain(woken: socket.socket) -> None:
    """Empty the socket that signals have written to."""
    with contextlib.suppress(BlockingIOError):
        woken.recv(4096)
