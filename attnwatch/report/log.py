"""Logging to stderr: rich on a terminal, with priorities under journald, plain lines elsewhere. Data goes to stdout.

Every record is one line, with what is unsafe to show escaped, and of limited length: names, manifests, receipts and
the output of commands cannot forge a record or control a terminal. Tracebacks and Python's warnings are records too.
"""

import json
import logging
import os
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, Any, Literal, cast

from rich.console import Console, ConsoleRenderable
from rich.logging import RichHandler
from rich.text import Text

from attnwatch.errors import shortened
from attnwatch.system.display import visible
from attnwatch.system.streams import Stderr

STDERR = Stderr()
"""Everything that is not data is written here."""

PACKAGE = "attnwatch"

LogFormat = Literal["auto", "plain", "rich", "journald", "json"]

# Priorities of syslog(3), which journald reads from the start of a line, see sd-daemon(3).
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
_NOW = 0.5  # seconds
_LONGEST_MESSAGE, _LONGEST_TRACEBACK = 8_000, 20_000  # characters

_STANDARD = frozenset({*vars(logging.LogRecord("", 0, "", 0, "", None, None)), "message", "asctime", "taskName"})


def console() -> Console:
    """Return the console for everything that is not data. rich honours NO_COLOR."""
    return Console(file=cast("IO[str]", STDERR), highlight=False)


def set_up(level: int, target: Console, log_format: LogFormat = "auto") -> None:
    """Send this package's records to stderr, and the warnings and errors of others.

    Args:
        level: lowest level that is logged.
        target: console for `rich`.
        log_format: `auto` means `rich` on a terminal, `journald` if stderr goes to the journal, otherwise `plain`.

    """
    handler = _handler(target, _chosen(log_format, target))
    logger = logging.getLogger(PACKAGE)
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
    others = logging.getLogger()
    others.handlers[:] = [*(other for other in others.handlers if not isinstance(other.formatter, _OneLine)), handler]
    STDERR.about_dropped = lambda number: f"{handler.format(_about_dropped(number))}\n"


def log_everything() -> None:
    """Log Python's warnings, and errors that nothing else handles, instead of writing them to stderr as they are."""
    logging.captureWarnings(True)
    sys.excepthook = _log_exception
    threading.excepthook = lambda about: _log_exception(
        about.exc_type, about.exc_value or about.exc_type(), about.exc_traceback
    )
    sys.unraisablehook = lambda about: _log_exception(
        about.exc_type, about.exc_value or about.exc_type(), about.exc_traceback
    )


def _log_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    about = "this is a mistake in attnwatch; please report it"
    logging.getLogger(PACKAGE).critical("unexpected %s: %s", kind.__name__, about, exc_info=(kind, error, trace))


def _about_dropped(number: int) -> logging.LogRecord:
    text = "%d lines of the log were dropped: whatever reads stderr was too slow, or had stopped reading"
    return logging.LogRecord(__name__, logging.WARNING, "", 0, text, (number,), None)


def counted(number: int, thing: str) -> str:
    """Return `1 video`, `2 videos`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def span(seconds: float) -> str:
    """Return a time as `12 s`, `3 min`, `2 h` or `5 d`."""
    for length, name in _UNITS:
        if seconds >= length:
            return f"{seconds / length:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


def when(time: str) -> str:
    """Return a time in RFC 3339 as seen from now: `in 30 s`, or `now`."""
    seconds = (datetime.fromisoformat(time) - datetime.now(UTC)).total_seconds()
    return "now" if seconds < _NOW else f"in {span(seconds)}"


def _chosen(log_format: LogFormat, target: Console) -> LogFormat:
    if log_format != "auto":
        return log_format
    if target.is_terminal:
        return "rich"
    return "journald" if _goes_to_the_journal(os.environ) else "plain"


def _goes_to_the_journal(environment: Mapping[str, str]) -> bool:
    """Whether stderr goes to the journal: JOURNAL_STREAM then names its device and inode."""
    try:
        stderr = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # stderr is closed, or replaced by an object without a descriptor
        return False
    return environment.get("JOURNAL_STREAM") == f"{stderr.st_dev}:{stderr.st_ino}"


def _handler(target: Console, log_format: LogFormat) -> logging.Handler:
    handler: logging.Handler
    if log_format == "rich":
        handler = _Terminal(
            console=target,
            show_path=False,
            show_level=False,
            rich_tracebacks=False,
            markup=False,
            omit_repeated_times=False,
            log_time_format="%H:%M:%S",
        )
        handler.setFormatter(_OneLine())
        return handler
    handler = logging.StreamHandler(STDERR)
    if log_format == "journald":
        handler.setFormatter(_Journald())
    elif log_format == "json":
        handler.setFormatter(_Json())
    else:
        handler.setFormatter(_OneLine("%(asctime)s %(levelname)s: %(message)s", "%Y-%m-%d %H:%M:%S"))
    return handler


class _Terminal(RichHandler):
    """Leaves room for the message on a line of 80 columns: no date, and the level only of warnings and errors."""

    def render_message(self, record: logging.LogRecord, message: str) -> ConsoleRenderable:
        text = super().render_message(record, message)
        if record.levelno in (logging.INFO, logging.DEBUG) or not isinstance(text, Text):
            return text
        style = f"logging.level.{record.levelname.lower()}"
        return Text.assemble((f"{record.levelname.lower()}: ", style), text)


class _OneLine(logging.Formatter):
    """Makes one line of each record. The lines of a traceback follow, indented, so that none looks like a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - of the standard library
        record.message = visible(shortened(record.message.rstrip("\n"), _LONGEST_MESSAGE))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: ANN401, N802 - of the standard library
        lines = shortened(super().formatException(ei), _LONGEST_TRACEBACK).split("\n")
        return "\n".join(f"    {visible(line)}" for line in lines)


class _Journald(_OneLine):
    """Puts a priority before each line, and no time: the journal adds its own."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next((number for least, number in _PRIORITIES if record.levelno >= least), _DEBUG_PRIORITY)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).split("\n"))


class _Json(_OneLine):
    """Formats records as JSON objects, one per line: time, level, message, and the fields given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": shortened(record.getMessage(), _LONGEST_MESSAGE),
            **fields,
        }
        if record.exc_info:
            document["exception"] = shortened(logging.Formatter().formatException(record.exc_info), _LONGEST_TRACEBACK)
        return json.dumps(document, default=str)
