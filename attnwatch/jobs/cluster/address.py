"""Which cluster the setting `engine` names."""

import os
from dataclasses import dataclass
from typing import Any

from attnwatch.errors import ConfigError

_LOCAL_WORKERS = "local?workers="


@dataclass(frozen=True)
class Address:
    """A cluster.

    Attributes:
        scheduler: address of its scheduler; None for a cluster on this machine, which ends with the watcher.
        workers: number of workers of a cluster on this machine.

    """

    scheduler: str | None
    workers: int = 0

    @classmethod
    def of(cls, engine: str) -> "Address":
        """Return the cluster that a valid value of the setting names.

        Raises:
            ConfigError: it leaves the address to Dask's configuration, which has none.

        """
        _, _, place = engine.partition("://")
        if place.startswith(_LOCAL_WORKERS):
            return cls(None, int(place.removeprefix(_LOCAL_WORKERS)))
        if place == "local":
            return cls(None, max(1, (os.cpu_count() or 1) // 2))
        return cls(f"tcp://{place}" if place else _configured())

    def __str__(self) -> str:
        """Return what log lines call it."""
        return self.scheduler or "the cluster on this machine"


def _configured() -> str:
    import dask  # noqa: PLC0415 - an extra

    found: Any = dask.config.get("scheduler-address", None)
    if not found:
        raise ConfigError(
            "engine: found dask without an address; expected one in DASK_SCHEDULER_ADDRESS or as `scheduler-address` "
            "in Dask's configuration; or name it: --engine dask://HOST:8786"
        )
    return str(found)
