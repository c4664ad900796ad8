"""Where jobs run, as a protocol: the daemon knows nothing else of an engine."""

import socket
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from attnwatch.jobs.work import Work

Waitable: TypeAlias = "Connection[Any, Any] | socket.socket"


@dataclass(frozen=True)
class Finished:
    """A job that ended, with its result or the error that took its process."""

    job: Work
    outcome: object
    seconds: float
