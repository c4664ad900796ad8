"""Options of every command that renders, and their translation into settings and selections."""

import logging
from collections.abc import Sequence, Set
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter, Token
from rich.console import Console

from attnwatch.cli.cluster_flags import ENGINE, PATH_MAP, given_cluster
from attnwatch.cli.exclusion import EXCLUDE, exclusion
from attnwatch.errors import ConfigError
from attnwatch.report.log import LogFormat, console, set_up

if TYPE_CHECKING:
    from attnwatch.config import Layer, Settings
    from attnwatch.watch.options import Options

SELECTION = Group("Selection", sort_key=1)
SETTINGS = Group("Settings", sort_key=2)
OUTPUT = Group("Output", sort_key=3)


def _as_given(_type: object, tokens: Sequence[Token]) -> Path:
    """Return a path; an absolute one if it was given with a slash, which tells a folder from a mistyped command."""
    text = tokens[0].value
    return Path(text).absolute() if "/" in text else Path(text)


WORDS = Parameter(name=["--words", "--word"], metavar="WORDS", group=SELECTION, consume_multiple=False, negative="")
"""Slugs or texts of words; `words_of` separates them."""

OUTPUT_FILE = Parameter(name=["--output", "--out", "-o"], group=OUTPUT, metavar="FILE")
RENDERED_IN = Parameter(metavar="FOLDER", group=SELECTION)
"""The folder that outputs were put into with `--out`, where `--out` is the file to write."""

OUTPUT_FOLDER = Parameter(name=["--out", "--output", "-o"], group=OUTPUT, metavar="FOLDER")

_NAMES = {"assignments": "--set"}  # of fields whose flags have another name

GIVEN = Parameter(converter=_as_given, metavar="FOLDER")
"""A folder that need not exist yet; it is absolute unless it was given as a single word."""


@Parameter(name="*")
@dataclass(frozen=True)
class PictureFlags:
    """Options that set something, of commands that draw a single picture."""

    config: Annotated[
        Path | None,
        Parameter(
            name=["--config", "-c"], group=SETTINGS, metavar="FILE", help="YAML file; may be the one of the generator."
        ),
    ] = None
    assignments: Annotated[
        tuple[str, ...],
        Parameter(
            name="--set",
            metavar="NAME=VALUE",
            group=SETTINGS,
            consume_multiple=False,
            negative="",
            help="Any setting that `attnwatch settings` lists; may be repeated.",
        ),
    ] = ()

    def settings(self) -> "Settings":
        """Return the settings from the configuration file, the environment and the flags.

        Raises:
            ConfigError: a setting is unknown or has a wrong value.

        """
        from attnwatch.config import load_settings  # noqa: PLC0415 - help needs no pydantic

        return load_settings(self.config, self._given())

    def layers(self) -> "list[Layer]":
        """Return the settings of each source, the one that counts least first.

        Raises:
            ConfigError: a setting is unknown or has a wrong value.

        """
        from attnwatch.config import settings_layers  # noqa: PLC0415

        return settings_layers(self.config, self._given())

    def require_effect(self, effective: Set[str], what: str) -> None:
        """Check that each setting that was given has an effect.

        Args:
            effective: names of those that have one.
            what: what the command makes, in the plural.

        Raises:
            ConfigError: one has none.

        """
        from attnwatch.settings import Visualization  # noqa: PLC0415 - help needs no pydantic

        for name in self._given():
            if name in Visualization.model_fields and name not in effective:
                expected = f"one of those that have: {', '.join(sorted(effective))}"
                raise ConfigError(f"--set: found {name!r}, which has no effect on {what}; expected {expected}")

    def _given(self) -> dict[str, Any]:
        """Return the values that are set, by name."""
        from attnwatch.config import field_of  # noqa: PLC0415
        from attnwatch.settings.values import parse_value  # noqa: PLC0415

        given: dict[str, Any] = {}
        for assignment in self.assignments:
            name, equals, value = assignment.partition("=")
            if not equals:
                raise ConfigError(
                    f"--set: found {assignment!r}; expected NAME=VALUE; for example: --set colormap=viridis"
                )
            name = name.strip().replace("-", "_")
            given[name] = parse_value(value, field_of(name))
        return given


@Parameter(name="*")
@dataclass(frozen=True)
class ClusterFlags(PictureFlags):
    """Options that set something, of commands that can work on a cluster without being a watcher."""

    engine: Annotated[str | None, ENGINE, Parameter(group=SETTINGS)] = None
    path_map: Annotated[tuple[str, ...], PATH_MAP, Parameter(group=SETTINGS)] = ()

    def _given(self) -> dict[str, Any]:
        return {**given_cluster(self.engine, self.path_map), **super()._given()}


@Parameter(name="*")
@dataclass(frozen=True)
class SettingFlags(PictureFlags):
    """Options that set something, of commands that work on many videos."""

    workers: Annotated[
        int | None,
        Parameter(
            name=["--workers", "-j"],
            metavar="N",
            group=SETTINGS,
            help="Videos rendered, or pictures drawn, at the same time (default: half of the cores).",
        ),
    ] = None

    def _given(self) -> dict[str, Any]:
        return {**({} if self.workers is None else {"workers": self.workers}), **super()._given()}


@Parameter(name="*")
@dataclass(frozen=True)
class Flags(SettingFlags):
    """Options of every command that renders."""

    force: Annotated[bool, Parameter(negative="", help="Also render videos that are up to date.")] = False
    outdated: Annotated[
        bool,
        Parameter(negative="", help="Also render videos that an older renderer made."),
    ] = False
    tokens: Annotated[
        tuple[str, ...],
        WORDS,
        Parameter(
            name=["--tokens", "--words", "--word"], help="Render only these words, separated by commas (default: all)."
        ),
    ] = ()
    out: Annotated[
        Path | None,
        OUTPUT_FOLDER,
        Parameter(help="Put outputs and receipts here, in the same tree as below the given folder."),
    ] = None
    since: Annotated[
        datetime | None,
        Parameter(
            group=SELECTION,
            metavar="DATE",
            help="Render only videos finished at or after this date, such as 2025-06-01.",
        ),
    ] = None
    batch: Annotated[
        str | None,
        Parameter(
            group=SELECTION,
            metavar="PATTERN",
            help="Render only batches whose folder matches this pattern, such as 'kiss_*'.",
        ),
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
    exclude: Annotated[tuple[str, ...], EXCLUDE, Parameter(group=SELECTION)] = ()
    engine: Annotated[str | None, ENGINE, Parameter(group=SETTINGS)] = None
    path_map: Annotated[tuple[str, ...], PATH_MAP, Parameter(group=SETTINGS)] = ()
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
            metavar="FORMAT",
            group=OUTPUT,
            help="Format of the log; `auto` is rich on a terminal, journald under systemd, plain elsewhere.",
        ),
    ] = "auto"

    def _given(self) -> dict[str, Any]:
        return {**given_cluster(self.engine, self.path_map), **super()._given()}

    def as_arguments(self) -> list[str]:
        """Return the arguments that give these flags."""
        words: list[str] = []
        for option in fields(self):
            name = _NAMES.get(option.name, f"--{option.name.replace('_', '-')}")
            given = getattr(self, option.name)
            if given is True:
                words.append(name)
            elif given != option.default:
                values = given if isinstance(given, tuple) else [given]
                words += (f"{name}={value}" for value in values)
        return words

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
            outdated=self.outdated,
            tokens=words_of(self.tokens),
            since=None if self.since is None else self.since.timestamp(),
            batch=self.batch,
            oldest_first=self.oldest_first,
            follow_links=self.follow_links,
            excluded=exclusion(self.exclude, self.settings().watcher),
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


def words_of(tokens: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the words of an option that may be repeated, and that takes several with commas; None if there is none."""
    words = tuple(word.strip() for token in tokens for word in token.split(",") if word.strip())
    return words or None
