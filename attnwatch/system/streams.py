"""Standard streams that a service can rely on: they are open, and writing to stderr never blocks its loop.

Whoever reads stderr may be slow, or stop reading without closing it: a full pipe blocks whoever writes to it, a signal
or not. Therefore a thread writes, from a short queue. What does not fit is dropped and counted.
"""

import contextlib
import io
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable

_MOST_WAITING = 2000  # pieces of text
_LAST_WORDS = 1.0  # seconds to write what waits when the process ends


def open_missing_streams() -> None:
    """Open the null device in place of each standard stream that the parent process has closed.

    Otherwise the next file that is opened gets its number, and whatever writes to that stream writes to this file.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
            os.set_inheritable(opened, True)
        if getattr(sys, name) is None:
            stream = os.fdopen(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)
            setattr(sys, name, stream)


class Stderr(io.TextIOBase):
    """The text stream to stderr that the log and the progress bar share.

    It writes at once until `hand_over` is called, which must not be before the process has forked.
    """

    def __init__(self) -> None:
        self._writer: _Writer | None = None
        self.about_dropped: Callable[[int], str] = lambda _number: ""
        """Returns what to write in place of a number of texts that were dropped."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of stderr."""
        return getattr(sys.stderr, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether stderr is a terminal."""
        return bool(sys.stderr.isatty())

    def fileno(self) -> int:
        """Return the descriptor of stderr."""
        return int(sys.stderr.fileno())

    def writable(self) -> bool:
        """Return true."""
        return True

    def write(self, text: str) -> int:
        """Write a text, or queue it. What cannot be written is dropped: a log must not end what it reports."""
        if self._writer is not None:
            self._writer.put(text.encode(self.encoding, "backslashreplace"))
        else:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(text)
                sys.stderr.flush()
        return len(text)

    def flush(self) -> None:
        """Do nothing: texts are written whole."""

    def hand_over(self) -> None:
        """Let a thread write from now on; it starts with the next text."""
        with contextlib.suppress(OSError, ValueError):  # something in memory, which does not block
            sys.stderr.flush()
            self._writer = _Writer(self.fileno(), lambda number: self.about_dropped(number).encode(self.encoding))

    def finish(self) -> None:
        """Write what waits, for a limited time. If that is not over by then, drop whatever is written later."""
        if self._writer is not None and self._writer.finish(_LAST_WORDS):
            self._writer = None


class _Writer:
    """Writes texts to a descriptor in a thread of its own."""

    def __init__(self, descriptor: int, about_dropped: Callable[[int], bytes]) -> None:
        self._descriptor = descriptor
        self._about_dropped = about_dropped
        self._waiting: deque[bytes] = deque()
        self._dropped = 0
        self._finished = False
        self._changed = threading.Condition()
        # A daemon: a thread that is stuck in a write must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="stderr", daemon=True)

    def put(self, data: bytes) -> None:
        """Queue a text; drop it if too many wait, or if this writer has finished."""
        with self._changed:
            # Once full, it takes nothing until half of it is written: one gap in the log instead of many.
            if self._finished or len(self._waiting) >= (_MOST_WAITING // 2 if self._dropped else _MOST_WAITING):
                self._dropped += 1
                return
            self._mention_dropped()
            self._waiting.append(data)
            self._changed.notify()
            if self._thread.ident is None:
                try:
                    self._thread.start()
                except RuntimeError:  # no more threads at the moment
                    self._write_what_does_not_block()

    def finish(self, patience: float) -> bool:
        """Write what waits; return whether that took less than `patience` seconds."""
        with self._changed:
            self._finished = True
            self._mention_dropped()
            self._changed.notify()
            if self._thread.ident is None:
                self._write_what_does_not_block()
        if self._thread.ident is not None:
            self._thread.join(patience)
        return not self._thread.is_alive()

    def _write_what_does_not_block(self) -> None:
        """Write in this thread what a pipe takes at once: a descriptor is writable if it takes `PIPE_BUF` bytes."""
        with contextlib.suppress(OSError, ValueError):
            while self._waiting and select.select([], [self._descriptor], [], 0)[1]:
                data = self._waiting.popleft()
                if rest := data[os.write(self._descriptor, data[: select.PIPE_BUF]) :]:
                    self._waiting.appendleft(rest)

    def _mention_dropped(self) -> None:
        if self._dropped:
            self._waiting.append(self._about_dropped(self._dropped))
            self._dropped = 0

    def _run(self) -> None:
        while (data := self._next()) is not None:
            _write(self._descriptor, data)

    def _next(self) -> bytes | None:
        """Wait for the next text; None if there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._finished)
            return self._waiting.popleft() if self._waiting else None


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(OSError):  # the reader is gone, or the disk is full
        while data:
            data = data[os.write(descriptor, data) :]
