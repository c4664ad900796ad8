"""Supervises the loop: an unforeseen error about one path is the failure of that path, and ends nothing else."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from attnwatch.contract.names import printable
from attnwatch.errors import AttnwatchError, EngineError

_log = logging.getLogger(__name__)

_MOST_KNOWN = 10_000


def unforeseen(about: Path, error: Exception) -> AttnwatchError:
    """Return the error that stands for an unforeseen one in the log and in a receipt; its traceback is for debugging.

    Args:
        about: what was being looked at.
        error: what was raised.

    """
    _log.debug("%s", about, exc_info=error)
    found = printable(str(error)) or "no message"
    return AttnwatchError(
        f"{printable(about.name)}: found something that attnwatch does not expect ({type(error).__name__}: {found}); "
        "expected files as in FORMAT.md; run the watcher with --verbose, and report the traceback in its log"
    )


class Supervisor:
    """Logs unforeseen errors, each once."""

    def __init__(self) -> None:
        self._known: set[int] = set()

    @contextlib.contextmanager
    def about(self, path: Path | str) -> Iterator[None]:
        """Keep an unforeseen error about a path from ending the watcher. That of the engine does end it."""
        try:
            yield
        except EngineError:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            known = hash((str(path), type(error), str(error)))
            if known in self._known:
                return
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known.add(known)
            _log.warning("%s: %s", path, unforeseen(Path(path), error))
