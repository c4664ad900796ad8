"""What `--exclude` leaves out, together with the setting `exclude`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from attnwatch.system.exclusion import Exclusion

if TYPE_CHECKING:
    from attnwatch.settings import Watcher

EXCLUDE = Parameter(
    name="--exclude",
    metavar="PATTERN",
    consume_multiple=False,
    negative="",
    help="Leave out folders and videos of this name (`old_*`) or path below the folder (`archive/*`); may be repeated.",
)

Excluded = Annotated[tuple[str, ...], EXCLUDE]


def exclusion(patterns: Sequence[str], watcher: "Watcher") -> Exclusion:
    """Return what the patterns of the command line and the setting leave out.

    Raises:
        ConfigError: a pattern cannot match anything.

    """
    from attnwatch.config import load_settings  # noqa: PLC0415 - help needs no pydantic

    given = load_settings(None, {"exclude": list(patterns)}, {}, spell_flag="--{}".format).watcher.exclude
    return Exclusion((*watcher.exclude, *given))


def exclusion_from(patterns: Sequence[str], config: Path | None = None) -> Exclusion:
    """Return the same, with the setting from a configuration file and the environment."""
    from attnwatch.config import load_settings  # noqa: PLC0415

    return exclusion(patterns, load_settings(config, {}).watcher)
