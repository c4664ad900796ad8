"""Jobs: one rendering each, from its start to its receipt, and the engines that run them.

The watcher gets an engine from `open_engine` and knows only the `Engine` protocol.
"""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnwatch.jobs.engine import Engine


def open_engine() -> "AbstractContextManager[Engine]":
    """Return the engine to run jobs on, as a context manager that leaves no job behind.

    Enter it before the process has threads: the local engine forks.
    """
    from attnwatch.jobs.local import LocalEngine  # noqa: PLC0415 - importing a job does not need an engine

    return LocalEngine()
