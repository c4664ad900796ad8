"""Logging to stderr: rich on a terminal, plain lines everywhere else. Data goes to stdout, elsewhere."""

import logging
import sys

from rich.console import Console
from rich.logging import RichHandler

PACKAGE = "attnwatch"


def console() -> Console:
    """Return the console of everything that is not data. rich honours NO_COLOR."""
    return Console(stderr=True, highlight=False)


def set_up(level: int, target: Console) -> None:
    """Send this package's records to the console if it is a terminal, and as plain lines to stderr otherwise."""
    handler: logging.Handler
    if target.is_terminal:
        handler = RichHandler(
            console=target, show_path=False, rich_tracebacks=False, markup=False, omit_repeated_times=False
        )
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger = logging.getLogger(PACKAGE)
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def counted(number: int, thing: str) -> str:
    """Return `1 video`, `2 videos`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
