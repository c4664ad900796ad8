"""Adapts watchdog to trees that anyone may write to: what it logs, and how deep it walks."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator

_log = logging.getLogger(__name__)

_DEEPEST = 2_048  # folders in the longest path that the kernel takes


@contextlib.contextmanager
def adapted(overflowed: Callable[[], None]) -> Iterator[None]:
    """Adapt watchdog for the duration of the context.

    Args:
        overflowed: called when the kernel has dropped events because its queue was full.

    """
    with _deep_folders(), _calmed(overflowed):
        yield


class _OverflowListener(logging.Handler):
    """Learns from watchdog's log that events were lost; watchdog offers no other way."""

    def __init__(self, heard: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._heard()
        else:
            _log.debug("watchdog: %s", record.getMessage())


@contextlib.contextmanager
def _deep_folders() -> Iterator[None]:
    """Let watchdog walk folders as deep as the kernel allows: before Python 3.12, `os.walk` calls itself for each."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + _DEEPEST)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextlib.contextmanager
def _calmed(overflowed: Callable[[], None]) -> Iterator[None]:
    """Listen to watchdog's log, and keep it from stderr."""
    theirs, listener = logging.getLogger("watchdog"), _OverflowListener(overflowed)
    propagated = theirs.propagate
    theirs.addHandler(listener)
    theirs.propagate = False
    with warnings.catch_warnings():
        # One for every folder that vanishes while its watch is added: in an event storm, hundreds of megabytes.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
        try:
            yield
        finally:
            theirs.removeHandler(listener)
            theirs.propagate = propagated
