"""Shows the output of a command and the log of a watcher on one terminal, without one tearing the other's lines.

The command draws on a terminal of its own, so that it shows its progress as usual. What it writes is passed on as it
is; lines of the log are inserted where the command has ended a line, or is about to draw its bars again.
"""

import contextlib
import os
import re
import select
import threading

_AT_ONCE = 65_536  # bytes
_PATIENCE = 0.5  # seconds to wait for the command to draw its bars again
_LAST_WORDS = 1.0  # seconds for what was written last
# Back to the beginning of a line, some lines up, with what is there erased: how bars are drawn again.
_REDRAW = re.compile(rb"(?:\r|\x1b\[[0-9;]*[AFGK])+")
_MOVE = re.compile(rb"\r|\x1b\[[0-9;]*[A-HJKf]")
_ERASE_LINE = b"\r\x1b[K"
_HIDE_CURSOR, _SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h"


class Relay:
    """Passes on what the command and the log write, in a thread of its own, until both have ended.

    Args:
        log: descriptor that lines of the log are read from; it is closed in the end.
        to_log: descriptor that they are written to.
        prefix: text before each of them.
        screen: descriptor that the output of the command is read from; None if the command writes to its own. It is
            closed in the end.
        to_screen: descriptor that it is written to.

    """

    def __init__(self, log: int, to_log: int, prefix: str, screen: int | None = None, to_screen: int = 1) -> None:
        self._log, self._to_log, self._prefix = log, to_log, prefix.encode()
        self._screen, self._to_screen = screen, to_screen
        self._shared = screen is not None and os.isatty(to_log)
        self._unfinished = b""  # the beginning of a line of the log
        self._waiting: list[bytes] = []  # whole lines of the log
        self._line = b""  # what the command has written to the line that it has not ended
        self._is_clean = True  # whether the cursor is on an empty line
        self._hides_cursor = False
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def start(self) -> None:
        """Begin to pass on."""
        self._thread.start()

    def finish(self) -> None:
        """Wait until everything is passed on; what a process that was left behind writes later is dropped."""
        self._thread.join(_LAST_WORDS)

    def _run(self) -> None:
        sources = [source for source in (self._log, self._screen) if source is not None]
        while sources:
            ready, _, _ = select.select(sources, [], [], _PATIENCE if self._waiting else None)
            for source in ready:
                with contextlib.suppress(OSError):  # EIO: the last process with this terminal has ended
                    if data := os.read(source, _AT_ONCE):
                        self._take(source, data)
                        continue
                sources.remove(source)
            if self._waiting and (not ready or not self._shared or not self._line or self._screen not in sources):
                self._insert()
        if self._unfinished:
            self._waiting.append(self._prefix + self._unfinished + b"\n")
            self._insert()
        if self._hides_cursor:
            _write(self._to_screen, _SHOW_CURSOR)
        os.close(self._log)
        if self._screen is not None:
            os.close(self._screen)

    def _take(self, source: int, data: bytes) -> None:
        if source == self._log:
            *lines, self._unfinished = (self._unfinished + data).split(b"\n")
            self._waiting += (self._prefix + line + b"\n" for line in lines)
            return
        redraw = _REDRAW.match(data) if self._waiting and self._shared else None
        if redraw is not None:
            _write(self._to_screen, redraw[0] + _ERASE_LINE)
            self._write_waiting()
            data = data[redraw.end() :]
        _write(self._to_screen, data)
        self._line = _MOVE.split((self._line + data).rpartition(b"\n")[2])[-1]
        self._is_clean = data.endswith(b"\n") or (not data and not self._line)
        self._hides_cursor = data.rfind(_HIDE_CURSOR) > data.rfind(_SHOW_CURSOR) or (
            self._hides_cursor and _SHOW_CURSOR not in data
        )

    def _insert(self) -> None:
        """Write the waiting lines where the cursor is, and the unfinished line of the command below them."""
        if self._shared and not self._is_clean:
            _write(self._to_screen, _ERASE_LINE)
        self._write_waiting()
        if self._shared:
            _write(self._to_screen, self._line)
            self._is_clean = not self._line

    def _write_waiting(self) -> None:
        _write(self._to_log, b"".join(self._waiting))
        self._waiting.clear()


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(OSError):  # the terminal or the reader is gone
        while data:
            data = data[os.write(descriptor, data) :]
