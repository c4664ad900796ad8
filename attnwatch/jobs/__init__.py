"""Jobs: one rendering each, from its start to its receipt, and the engines that run them.

The watcher gets an engine from `open_engine` and knows only the `Engine` protocol.
"""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from attnwatch.errors import ConfigError

if TYPE_CHECKING:
    from attnwatch.jobs.engine import Engine, Folders
    from attnwatch.settings import Watcher


def open_engine(settings: "Watcher", folders: "Folders") -> "AbstractContextManager[Engine]":
    """Return the engine to run jobs on, as a context manager that leaves no job behind.

    Enter it before the process has threads: the local engine forks.

    Args:
        settings: `engine` and `path_map` say which engine.
        folders: those that jobs work in.

    Raises:
        ConfigError: the engine is one on a cluster, and Dask is not installed, or does not know which cluster.

    """
    if settings.engine == "local":
        from attnwatch.jobs.local import LocalEngine  # noqa: PLC0415 - importing a job does not need an engine

        return LocalEngine()
    require_cluster(settings.engine)
    from attnwatch.jobs.cluster.address import Address  # noqa: PLC0415
    from attnwatch.jobs.cluster.engine import DaskEngine  # noqa: PLC0415 - an extra
    from attnwatch.jobs.cluster.paths import PathMap  # noqa: PLC0415

    return DaskEngine(Address.of(settings.engine), folders, PathMap.of(settings.path_map))


def require_cluster(engine: str) -> None:
    """Check that what works on a cluster is installed.

    Raises:
        ConfigError: it is not.

    """
    try:
        from attnwatch.jobs.cluster import remote  # noqa: F401, PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"engine: found {engine} without {error.name}; expected the extra for clusters; "
            "install it: pip install 'attnwatch[dask]'"
        ) from error
