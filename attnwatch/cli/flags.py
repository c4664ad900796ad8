"""What every command that renders can be told, and what that means."""

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter
from rich.console import Console

from attnwatch.config import Settings, load_settings, parse_value
from attnwatch.errors import ConfigError
from attnwatch.report.log import LogFormat, console, set_up

SELECTION = Group("Selection", sort_key=1)
SETTINGS = Group("Settings", sort_key=2)
OUTPUT = Group("Output", sort_key=3)


@Parameter(name="*")
@dataclass(frozen=True)
class Flags:
    """What every command that renders can be told."""

    force: Annotated[bool, Parameter(negative="", help="Render also what is up to date.")] = False
    config: Annotated[
        Path | None,
        Parameter(
            name=["--config", "-c"], group=SETTINGS, help="YAML file; the one that the generator was given will do."
        ),
    ] = None
    workers: Annotated[
        int | None,
        Parameter(
            name=["--workers", "-j"],
            group=SETTINGS,
            help="Videos rendered at the same time (default: half of the cores).",
        ),
    ] = None
    tokens: Annotated[
        tuple[str, ...],
        Parameter(
            name="--tokens",
            group=SELECTION,
            consume_multiple=False,
            negative="",
            help="Only these words, separated by commas.",
        ),
    ] = ()
    assignments: Annotated[
        tuple[str, ...],
        Parameter(
            name="--set",
            group=SETTINGS,
            consume_multiple=False,
            negative="",
            help="Any setting of the README's table, as NAME=VALUE; may be repeated.",
        ),
    ] = ()
    out: Annotated[
        Path | None,
        Parameter(group=OUTPUT, help="Put outputs and receipts here, arranged as below the folder that is given."),
    ] = None
    since: Annotated[
        datetime | None,
        Parameter(group=SELECTION, help="Only videos that were finished at or after this date, such as 2025-06-01."),
    ] = None
    batch: Annotated[
        str | None,
        Parameter(group=SELECTION, help="Only batches whose folder has a name like this, such as 'kiss_*'."),
    ] = None
    oldest_first: Annotated[
        bool,
        Parameter(negative="", group=SELECTION, help="Begin with the video that was finished first, not last."),
    ] = False
    verbose: Annotated[
        bool, Parameter(name=["--verbose", "-v"], negative="", group=OUTPUT, help="Also say what is being started.")
    ] = False
    quiet: Annotated[
        bool, Parameter(name=["--quiet", "-q"], negative="", group=OUTPUT, help="Only warnings and errors.")
    ] = False
    log_format: Annotated[
        LogFormat,
        Parameter(
            name="--log-format",
            group=OUTPUT,
            help="`auto`: rich on a terminal, journald under systemd, else plain lines; or one of them, or json.",
        ),
    ] = "auto"

    def settings(self) -> Settings:
        """Return the settings that the configuration and the flags ask for.

        Raises:
            ConfigError: something there is wrong.

        """
        given: dict[str, Any] = {} if self.workers is None else {"workers": self.workers}
        for assignment in self.assignments:
            name, equals, value = assignment.partition("=")
            if not equals:
                raise ConfigError(
                    f"--set: found {assignment!r}; expected NAME=VALUE; for example: --set colormap=viridis"
                )
            given[name.strip().replace("-", "_")] = parse_value(value)
        return load_settings(self.config, given)

    def set_up(self) -> Console:
        """Set up the log; return the terminal, or what stands in its place, that it goes to."""
        target = console()
        set_up(
            logging.DEBUG if self.verbose else logging.WARNING if self.quiet else logging.INFO, target, self.log_format
        )
        return target

    def selection(self) -> dict[str, Any]:
        """Return the options that say which videos are taken, in which order, and where their outputs go."""
        return {
            "force": self.force,
            "tokens": _words(self.tokens),
            "since": None if self.since is None else self.since.timestamp(),
            "batch": self.batch,
            "oldest_first": self.oldest_first,
            "out": None if self.out is None else _made(self.out),
            "config": None if self.config is None else self.config.absolute(),
        }


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out: found {folder} ({error.strerror}); expected a folder that can be made") from None
    return folder.absolute()


def _words(tokens: tuple[str, ...]) -> tuple[str, ...] | None:
    words = tuple(word.strip() for token in tokens for word in token.split(",") if word.strip())
    return words or None
