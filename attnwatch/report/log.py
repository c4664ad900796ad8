"""Logging to stderr: rich on a terminal, with priorities under journald, plain lines elsewhere. Data goes to stdout."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console
from rich.logging import RichHandler

PACKAGE = "attnwatch"

LogFormat = Literal["auto", "plain", "rich", "journald", "json"]

# Priorities of syslog(3), which journald reads from the start of a line, see sd-daemon(3).
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7

_STANDARD = frozenset({*vars(logging.LogRecord("", 0, "", 0, "", None, None)), "message", "asctime", "taskName"})


def console() -> Console:
    """Return the console for everything that is not data. rich honours NO_COLOR."""
    return Console(stderr=True, highlight=False)


def set_up(level: int, target: Console, log_format: LogFormat = "auto") -> None:
    """Send this package's records to stderr.

    Args:
        level: lowest level that is logged.
        target: console for `rich`.
        log_format: `auto` means `rich` on a terminal, `journald` if stderr goes to the journal, otherwise `plain`.

    """
    logger = logging.getLogger(PACKAGE)
    logger.handlers[:] = [_handler(target, _chosen(log_format, target))]
    logger.setLevel(level)
    logger.propagate = False


def counted(number: int, thing: str) -> str:
    """Return `1 video`, `2 videos`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


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
    if log_format == "rich":
        return RichHandler(
            console=target, show_path=False, rich_tracebacks=False, markup=False, omit_repeated_times=False
        )
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "journald":
        handler.setFormatter(_Journald())
    elif log_format == "json":
        handler.setFormatter(_Json())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s", "%Y-%m-%d %H:%M:%S"))
    return handler


class _Journald(logging.Formatter):
    """Puts a priority before each line, and no time: the journal adds its own."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next((number for least, number in _PRIORITIES if record.levelno >= least), _DEBUG_PRIORITY)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).split("\n"))


class _Json(logging.Formatter):
    """Formats records as JSON objects, one per line: time, level, message, and the fields given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields,
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str)
