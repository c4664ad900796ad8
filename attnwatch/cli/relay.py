"""Shows the output of a command and the log of a watcher on one terminal, without one tearing the other's lines.

The command draws on a terminal of its own, so that it shows its progress as usual. What it writes is passed on as it
is; lines of the log are inserted where the command has ended a line, or is about to draw its bars again.
"""

import contextlib
import os
import re
import select
import threading
import time

_AT_ONCE = 65_536  # bytes
_PATIENCE = 1.0  # seconds to wait for the command to draw its bars again
_LAST_WORDS = 1.0  # seconds for what was written last
# Back to the beginning of a line, some lines up, with what is there erased: how bars are drawn again.
_REDRAW = re.compile(rb"(?:\r|\x1b\[[0-9;]*[AFGK])+")
_TOKEN = re.compile(rb"\x1b\[([0-9;?]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+|\x1b")
_DIGITS = re.compile(rb"[0-9]{1,9}")
_UP, _ERASE = (b"A", b"F"), (b"J", b"K")
_LONGEST_ROW = 10_000  # bytes
_MOST_ROWS = 1_000  # that bars are assumed to have
_ERASE_BELOW = b"\r\x1b[J"
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
        self._waits_since = 0.0
        self._drawn = _Drawn()
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
                if not self._has_read(source):
                    sources.remove(source)
                self._insert_if_due(sources)
            self._insert_if_due(sources)
        if self._unfinished:
            self._waiting.append(self._prefix + self._unfinished + b"\n")
            self._insert()
        if self._drawn.hides_cursor:
            _write(self._to_screen, _SHOW_CURSOR)
        os.close(self._log)
        if self._screen is not None:
            os.close(self._screen)

    def _has_read(self, source: int) -> bool:
        """Take what a source has; return whether it may have more."""
        with contextlib.suppress(OSError):  # EIO: the last process with this terminal has ended
            if data := os.read(source, _AT_ONCE):
                self._take(source, data)
                return True
        return False

    def _insert_if_due(self, sources: list[int]) -> None:
        """Write the waiting lines, unless the command will soon draw its bars again."""
        has_bars = self._shared and self._screen in sources and not self._drawn.is_clean
        if self._waiting and (not has_bars or time.monotonic() - self._waits_since >= _PATIENCE):
            self._insert()

    def _take(self, source: int, data: bytes) -> None:
        if source == self._log:
            if not self._waiting:
                self._waits_since = time.monotonic()
            *lines, self._unfinished = (self._unfinished + data).split(b"\n")
            self._waiting += (self._prefix + line + b"\n" for line in lines)
            return
        redraw = _REDRAW.match(data) if self._waiting and self._shared else None
        if redraw is not None:
            self._drawn.note(redraw[0])
            _write(self._to_screen, redraw[0] + _ERASE_BELOW)
            self._write_waiting()
            data = data[redraw.end() :]
        _write(self._to_screen, data)
        self._drawn.note(data)

    def _insert(self) -> None:
        """Write the waiting lines above what the command draws."""
        bars = [] if self._drawn.is_clean or not self._shared else self._drawn.rows
        if bars:
            up = b"\r\x1b[%dA" % (len(bars) - 1) if len(bars) > 1 else b""
            _write(self._to_screen, up + _ERASE_BELOW)
        self._write_waiting()
        _write(self._to_screen, b"\n".join(bars))

    def _write_waiting(self) -> None:
        _write(self._to_log, b"".join(self._waiting))
        self._waiting.clear()


class _Drawn:
    """What a command draws again and again, or has written to a line that it has not ended.

    Attributes:
        rows: the last row that is not ended, below as many as the command went up to when it last drew again.
        hides_cursor: whether it has hidden the cursor.

    """

    def __init__(self) -> None:
        self.rows = [b""]
        self.hides_cursor = False
        self._height = 1
        self._rises = 0
        self._is_back = False  # whether the next text replaces that of the row

    @property
    def is_clean(self) -> bool:
        """Whether the cursor is in an empty row."""
        return not self.rows[-1]

    def note(self, data: bytes) -> None:
        """Follow what the command writes."""
        for token in _TOKEN.finditer(data):
            number, final = token.groups()
            if final in _UP:
                self._rise(_rows(number))
            elif final in _ERASE:
                self.rows[-1], self._is_back = b"", False
            elif token[0] == b"\r":
                self._is_back = True
            elif token[0] == b"\n":
                self.rows = [*self.rows, b""][-self._height :]
                self._is_back = False
            else:
                self._add(token[0])

    def _rise(self, number: int) -> None:
        self._rises = min(self._rises + number, _MOST_ROWS)
        self._height = 1 + self._rises
        self.rows = self.rows[:-number] or [b""]
        self._is_back = True

    def _add(self, text: bytes) -> None:
        if text in (_HIDE_CURSOR, _SHOW_CURSOR):
            self.hides_cursor = text == _HIDE_CURSOR
            return
        self._rises = 0
        self.rows[-1] = (b"" if self._is_back else self.rows[-1][-_LONGEST_ROW:]) + text
        self._is_back = False


def _rows(parameters: bytes) -> int:
    """Return how many rows a sequence goes up. Its parameters may be anything: Shift+Up echoes as `1;2`."""
    digits = _DIGITS.match(parameters)
    return min(max(1, int(digits[0])), _MOST_ROWS) if digits else 1


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(OSError):  # the terminal or the reader is gone
        while data:
            data = data[os.write(descriptor, data) :]
