"""A terminal for tests: runs programs on it, types, and knows what it shows."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support import environment

_SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")


def shown(output: str) -> list[str]:
    """Return the rows that a terminal of unlimited size shows after some output; colours are left out."""
    rows, row, column = [""], 0, 0
    for number, final, back, down, text in _SEQUENCE.findall(output):
        if back:
            column = 0
        elif down:
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        elif text:
            rows[row] = rows[row].ljust(column)[:column] + text + rows[row][column + len(text) :]
            column += len(text)
        elif final == "A":
            row = max(0, row - int(number or 1))
        elif final == "K":
            rows[row] = "" if number == "2" else rows[row][:column]
        elif final == "J":
            rows[row:] = [rows[row][:column]]
    return rows


class Terminal:
    """A program on a terminal of 80 columns, which is its controlling terminal."""

    def __init__(self, process: "subprocess.Popen[bytes]", ours: int) -> None:
        self.process = process
        self._ours: int | None = ours
        self.output = ""

    def type(self, text: str) -> None:
        """Type a text; `\\x03` is Ctrl+C."""
        assert self._ours is not None
        os.write(self._ours, text.encode())

    def hang_up(self) -> None:
        """Close the terminal, as when its window is closed."""
        if self._ours is not None:
            os.close(self._ours)
        self._ours = None

    def wait_for(self, text: str, seconds: float = 180.0) -> None:
        """Read until a text was written."""
        limit = time.monotonic() + seconds
        while text not in self.output:
            assert time.monotonic() < limit, f"{text!r} was not written:\n{self.output}"
            if not self._read(limit - time.monotonic()):
                assert text in self.output, f"ended before {text!r} was written:\n{self.output}"

    def wait(self, seconds: float = 180.0) -> int:
        """Read until the program has ended; return its exit code."""
        limit = time.monotonic() + seconds
        while self.process.poll() is None or self._read(0):
            assert time.monotonic() < limit, self.output
            self._read(0.1)
        return self.process.returncode

    def _read(self, seconds: float) -> bool:
        assert self._ours is not None
        if not select.select([self._ours], [], [], max(0.0, seconds))[0]:
            return seconds > 0
        try:
            data = os.read(self._ours, 65_536)
        except OSError:  # EIO: nobody has the terminal any more
            return False
        self.output += data.decode(errors="replace")
        return bool(data)


@contextmanager
def on_a_terminal(arguments: Sequence[str], cwd: Path) -> Iterator[Terminal]:
    """Run a program on a terminal during the context."""
    ours, theirs = os.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        arguments,
        cwd=cwd,
        env=environment(TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take_terminal,  # noqa: PLW1509 - short, and without locks
    )
    os.close(theirs)
    terminal = Terminal(process, ours)
    try:
        yield terminal
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        terminal.hang_up()
