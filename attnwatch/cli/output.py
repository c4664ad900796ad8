"""What a command gives back: lines of data on stdout, and its exit code."""

import sys

from attnwatch.system.display import visible

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def show(line: str) -> None:
    """Write a line of data to stdout, with what is unsafe to show escaped; the log goes to stderr."""
    write(visible(line, raw_bytes=True))


def write(text: str) -> None:
    """Write a text and a final newline to stdout."""
    sys.stdout.write(f"{text}\n")
