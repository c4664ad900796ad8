"""Libraries of the extra `attnwatch[measure]`, imported when they are needed."""

from importlib import import_module
from types import ModuleType

from attnwatch.errors import ConfigError


def extra(name: str) -> ModuleType:
    """Import a module of the extra, such as `scipy.stats`.

    Raises:
        ConfigError: it is not installed; the message says how to install it.

    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        library = name.partition(".")[0]
        raise ConfigError(
            f"found no {library}; expected it for tables and comparisons; install it: pip install 'attnwatch[measure]'"
        ) from error
