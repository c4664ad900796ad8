"""Notifies the service manager by the protocol of systemd, see sd_notify(3).

Messages are datagrams of `NAME=value` lines to the socket named by NOTIFY_SOCKET. Without a socket nothing is sent, and
errors are ignored: a watcher must not end because its service manager does not listen.
"""

import os
import socket
import time
from collections.abc import MutableMapping
from typing import Self

from attnwatch.system.display import visible

_SOCKET, _WATCHDOG, _WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
_SEND_TIME = 1.0  # seconds to wait for space in the service manager's queue with an important message
_MICROSECONDS = 1_000_000


class Notifier:
    """Sends notifications to a service manager, if there is one.

    Args:
        address: path of a socket, or `@name` of an abstract one; None for no service manager.
        watchdog_interval: seconds of silence after which the service manager considers this process dead; None if it
            does not use a watchdog.

    """

    def __init__(self, address: str | None = None, watchdog_interval: float | None = None) -> None:
        self._address = _socket_address(address)
        self._watchdog_interval = watchdog_interval if self._address is not None else None
        self._next_watchdog = 0.0
        self._status = ""

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> Self:
        """Remove the variables of the protocol from the environment, so that children do not send notifications."""
        address, interval, pid = (environment.pop(name, None) for name in (_SOCKET, _WATCHDOG, _WATCHDOG_PID))
        meant = pid in (None, str(os.getpid()))
        return cls(address, _seconds(interval) if meant else None)

    @property
    def watchdog_interval(self) -> float | None:
        """Seconds of silence after which this process is considered dead; None without a watchdog."""
        return self._watchdog_interval

    def ready(self) -> None:
        """Report the end of starting, or of reloading the configuration."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Report that the configuration is being reloaded; `ready` must follow."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Report that this process is about to end."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the status line shown by `systemctl status`; an unchanged line is not sent again."""
        line = visible(" ".join(text.split()))
        if line != self._status and self._send(f"STATUS={line}", patience=0):
            self._status = line

    def watchdog(self) -> None:
        """Report that this process is alive. Call it as often as you like; it sends twice per interval."""
        now = time.monotonic()
        due = self._watchdog_interval is not None and now >= self._next_watchdog
        if due and self._send("WATCHDOG=1", patience=0):
            self._next_watchdog = now + (self._watchdog_interval or 0) / 2

    def extend_timeout(self, seconds: float) -> None:
        """Ask for `seconds` more, from now on, to start, reload or stop."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * _MICROSECONDS)}")

    def _send(self, *lines: str, patience: float = _SEND_TIME) -> bool:
        """Send one message; return whether it was accepted."""
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
    """Return the address of a Unix socket in the kernel's form; None for any other kind of address."""
    if text is None or not text.startswith(("/", "@")):
        return None
    address = os.fsencode(text)
    return b"\0" + address[1:] if text.startswith("@") else address


def _seconds(microseconds: str | None) -> float | None:
    if microseconds is None or not microseconds.isdecimal() or not int(microseconds):
        return None
    return int(microseconds) / _MICROSECONDS
