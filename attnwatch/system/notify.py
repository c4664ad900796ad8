"""Telling the service manager how we are: the notification protocol of systemd, sd_notify(3).

Datagrams of `NAME=value` lines to the socket that NOTIFY_SOCKET names. Without one, and where sending fails, nothing
happens: no daemon is to end because nobody listens to it.
"""

import os
import socket
import time
from collections.abc import MutableMapping
from typing import Self

_SOCKET, _WATCHDOG, _WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
_SEND_TIME = 1.0  # seconds that the service manager's full queue may hold up what it has to be told
_MICROSECONDS = 1_000_000


class Notifier:
    """Sends notifications to a service manager, if there is one.

    Args:
        address: path of a socket, or `@name` of an abstract one; None for nobody.
        watchdog_interval: seconds after which the service manager takes silence for death; None if it does not ask.

    """

    def __init__(self, address: str | None = None, watchdog_interval: float | None = None) -> None:
        self._address = _socket_address(address)
        self._watchdog_interval = watchdog_interval if self._address is not None else None
        self._next_watchdog = 0.0
        self._status = ""

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> Self:
        """Take the variables of the protocol out of the environment, so that no child speaks in this process's name."""
        address, interval, pid = (environment.pop(name, None) for name in (_SOCKET, _WATCHDOG, _WATCHDOG_PID))
        meant = pid in (None, str(os.getpid()))
        return cls(address, _seconds(interval) if meant else None)

    @property
    def watchdog_interval(self) -> float | None:
        """Seconds after which silence is taken for death; None when nobody waits for `watchdog`."""
        return self._watchdog_interval

    def ready(self) -> None:
        """Say that starting, or loading the configuration again, is over."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Say that the configuration is being loaded again; `ready` has to follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Say that we are about to end."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Show a line in `systemctl status`; the same line is sent once."""
        line = " ".join(text.split())
        if line != self._status and self._send(f"STATUS={line}", patience=0):
            self._status = line

    def watchdog(self) -> None:
        """Give a sign of life; call it as often as you like, it is sent twice per interval."""
        now = time.monotonic()
        due = self._watchdog_interval is not None and now >= self._next_watchdog
        if due and self._send("WATCHDOG=1", patience=0):
            self._next_watchdog = now + (self._watchdog_interval or 0) / 2

    def extend_timeout(self, seconds: float) -> None:
        """Ask for so many seconds more, from now on, to start, reload or stop."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * _MICROSECONDS)}")

    def _send(self, *lines: str, patience: float = _SEND_TIME) -> bool:
        """Send one message; tell whether it was taken."""
        if self._address is None:
            return False
        data = "\n".join(lines).encode(errors="backslashreplace")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(patience)
                sender.sendto(data, self._address)
        except OSError:
            return False
        return True


def _socket_address(text: str | None) -> bytes | None:
    """Return the address of a Unix socket as the kernel wants it; None for any other kind of address."""
    if text is None or not text.startswith(("/", "@")):
        return None
    address = os.fsencode(text)
    return b"\0" + address[1:] if text.startswith("@") else address


def _seconds(microseconds: str | None) -> float | None:
    if microseconds is None or not microseconds.isdecimal() or not int(microseconds):
        return None
    return int(microseconds) / _MICROSECONDS
