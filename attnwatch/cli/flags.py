"""Options of every command that renders, and their translation into settings and selections."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter, Token
from rich.console import Console

from attnwatch.errors import ConfigError
from attnwatch.report.log import LogFormat, console, set_up

if TYPE_CHECKING:
    from attnwatch.config import Settings
    from attnwatch.watch.options import Options

SELECTION = Group("Selection", sort_key=1)
SETTINGS = Group("Settings", sort_key=2)
OUTPUT = Group("Output", sort_key=3)


def _as_given(_type: object, tokens: Sequence[Token]) -> Path:
    """Return a path; an absolute one if it was given with a slash, which tells a folder from a mistyped command."""
    text = tokens[0].value
    return Path(text).absolute() if "/" in text else Path(text)


GIVEN = Parameter(converter=_as_given)
"""A folder that need not exist yet; it is absolute unless it was given as a single word."""


@Parameter(name="*")
@dataclass(frozen=True)
class Flags:
    """Options of every command that renders."""

    force: Annotated[bool, Parameter(negative="", help="Also render videos that are up to date.")] = False
    config: Annotated[
        Path | None,
        Parameter(name=["--config", "-c"], group=SETTINGS, help="YAML file; may be the one of the generator."),
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
            help="Render only these words, separated by commas.",
        ),
    ] = ()
    assignments: Annotated[
        tuple[str, ...],
        Parameter(
            name="--set",
            group=SETTINGS,
            consume_multiple=False,
            negative="",
            help="Any setting in SETTINGS.md, as NAME=VALUE; may be repeated.",
        ),
    ] = ()
    out: Annotated[
        Path | None,
        Parameter(group=OUTPUT, help="Put outputs and receipts here, in the same tree as below the given folder."),
    ] = None
    since: Annotated[
        datetime | None,
        Parameter(group=SELECTION, help="Render only videos finished at or after this date, such as 2025-06-01."),
    ] = None
    batch: Annotated[
        str | None,
        Parameter(group=SELECTION, help="Render only batches whose folder matches this pattern, such as 'kiss_*'."),
    ] = None
    oldest_first: Annotated[
        bool,
        Parameter(negative="", group=SELECTION, help="Start with the video that was finished first (default: last)."),
    ] = False
    follow_links: Annotated[
        bool,
        Parameter(
            name="--follow-links",
            negative="",
            group=SELECTION,
            help="Follow links below the given folders: their owners choose what is read and written there.",
        ),
    ] = False
    verbose: Annotated[
        bool, Parameter(name=["--verbose", "-v"], negative="", group=OUTPUT, help="Also log which videos are started.")
    ] = False
    quiet: Annotated[
        bool, Parameter(name=["--quiet", "-q"], negative="", group=OUTPUT, help="Log only warnings and errors.")
    ] = False
    log_format: Annotated[
        LogFormat,
        Parameter(
            name="--log-format",
            group=OUTPUT,
            help="Format of the log; `auto` is rich on a terminal, journald under systemd, plain elsewhere.",
        ),
    ] = "auto"

    def settings(self) -> "Settings":
        """Return the settings from the configuration file, the environment and the flags.

        Raises:
            ConfigError: a setting is unknown or has a wrong value.

        """
        from attnwatch.config import load_settings, parse_value  # noqa: PLC0415 - help needs no pydantic

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
        """Set up the log and return its console."""
        target = console()
        set_up(
            logging.DEBUG if self.verbose else logging.WARNING if self.quiet else logging.INFO, target, self.log_format
        )
        return target

    def options(self, roots: Sequence[Path], **asked: bool) -> "Options":
        """Return what a run of the watcher is asked to do: these flags for some roots, and what else was asked."""
        from attnwatch.watch.options import Options  # noqa: PLC0415

        return Options(
            tuple(roots),
            **asked,
            force=self.force,
            tokens=_words(self.tokens),
            since=None if self.since is None else self.since.timestamp(),
            batch=self.batch,
            oldest_first=self.oldest_first,
            follow_links=self.follow_links,
            out=None if self.out is None else _made(self.out),
            config=None if self.config is None else self.config.absolute(),
        )


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--out: found {folder} ({error.strerror}); expected a folder that can be created; check the path"
        ) from None
    return folder.absolute()


def _words(tokens: tuple[str, ...]) -> tuple[str, ...] | None:
    words = tuple(word.strip() for token in tokens for word in token.split(",") if word.strip())
    return words or None
