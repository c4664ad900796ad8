"""Command line: argv -> one call -> exit code.

Exit codes: 0 all is well, 1 some video failed, 2 usage or configuration is wrong, 130 interrupted.
"""

import contextlib
import io
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Group, Parameter
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from attnwatch import commands
from attnwatch.activity import Activity, Publisher
from attnwatch.commands import FAILED, OK
from attnwatch.config import Settings, load_settings, parse_value
from attnwatch.daemon import Daemon
from attnwatch.engine import LocalEngine
from attnwatch.errors import AttnwatchError, ConfigError, EngineError
from attnwatch.fontcache import is_temporary, matplotlib_folder
from attnwatch.hooks import Hooks
from attnwatch.log import LogFormat, console, counted, set_up
from attnwatch.lookup import named, root_of
from attnwatch.manifest import BATCH_FILE
from attnwatch.notify import Notifier
from attnwatch.plan import Options, Planner
from attnwatch.report import Audience, Report
from attnwatch.targets import find_targets

USAGE, INTERRUPTED = 2, 130
_RATE_PERIOD = 600.0  # seconds over which the rate of the bar is taken
_BEGUN_AGAIN, _TOO_SOON = "_ATTNWATCH_BEGUN_AGAIN", 60

app = App(
    name="attnwatch",
    help="Render where a text-to-video model attended for each tracked word, as soon as each video is finished.",
    version=lambda: version("attnwatch"),
    result_action="return_value",
    default_parameter=Parameter(show_default=False),
)

_COMMANDS = ("render", "collect", *(command.__name__.strip("_") for command in commands.ALL))
for _command in commands.ALL:
    app.command(_command)

_SELECTION = Group("Selection", sort_key=1)
_SETTINGS = Group("Settings", sort_key=2)
_OUTPUT = Group("Output", sort_key=3)


@Parameter(name="*")
@dataclass(frozen=True)
class Flags:
    """What every command that renders can be told."""

    force: Annotated[bool, Parameter(negative="", help="Render also what is up to date.")] = False
    config: Annotated[
        Path | None,
        Parameter(
            name=["--config", "-c"], group=_SETTINGS, help="YAML file; the one that the generator was given will do."
        ),
    ] = None
    workers: Annotated[
        int | None,
        Parameter(
            name=["--workers", "-j"],
            group=_SETTINGS,
            help="Videos rendered at the same time (default: half of the cores).",
        ),
    ] = None
    tokens: Annotated[
        tuple[str, ...],
        Parameter(
            name="--tokens",
            group=_SELECTION,
            consume_multiple=False,
            negative="",
            help="Only these words, separated by commas.",
        ),
    ] = ()
    assignments: Annotated[
        tuple[str, ...],
        Parameter(
            name="--set",
            group=_SETTINGS,
            consume_multiple=False,
            negative="",
            help="Any setting of the README's table, as NAME=VALUE; may be repeated.",
        ),
    ] = ()
    out: Annotated[
        Path | None,
        Parameter(group=_OUTPUT, help="Put outputs and receipts here, arranged as below the folder that is given."),
    ] = None
    since: Annotated[
        datetime | None,
        Parameter(group=_SELECTION, help="Only videos that were finished at or after this date, such as 2025-06-01."),
    ] = None
    batch: Annotated[
        str | None,
        Parameter(group=_SELECTION, help="Only batches whose folder has a name like this, such as 'kiss_*'."),
    ] = None
    oldest_first: Annotated[
        bool,
        Parameter(negative="", group=_SELECTION, help="Begin with the video that was finished first, not last."),
    ] = False
    verbose: Annotated[
        bool, Parameter(name=["--verbose", "-v"], negative="", group=_OUTPUT, help="Also say what is being started.")
    ] = False
    quiet: Annotated[
        bool, Parameter(name=["--quiet", "-q"], negative="", group=_OUTPUT, help="Only warnings and errors.")
    ] = False
    log_format: Annotated[
        LogFormat,
        Parameter(
            name="--log-format",
            group=_OUTPUT,
            help="`auto`: rich on a terminal, journald under systemd, else plain lines; or one of them, or json.",
        ),
    ] = "auto"


@app.default
def watch(
    *roots: Path,
    once: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    metrics_file: Annotated[Path | None, Parameter(group=_OUTPUT)] = None,
    on_rendered: Annotated[str | None, Parameter(group=_OUTPUT)] = None,
    flags: Flags = Flags(),
) -> int:
    """Render every finished video below the folders, then whatever finishes, until stopped.

    Parameters
    ----------
    roots
        Folders to look after: `outputs/`, a batch, or a folder of videos.
    once
        Render what is finished, then exit (with 1 if any video failed).
    dry_run
        List what would be rendered, and render nothing.
    metrics_file
        Keep this file up to date with figures for Prometheus.
    on_rendered
        Run this command after each video, with its receipt (JSON) on standard input.
    flags
        What every command that renders can be told.

    """
    if not roots:
        raise ConfigError("found no folder; expected at least one; for example: attnwatch outputs/")
    target = _set_up(flags)
    for root in roots:
        if not root.exists() and (meant := get_close_matches(str(root), _COMMANDS, n=1, cutoff=0.75)):
            raise ConfigError(f"found nothing at {root}; expected a folder or a command; did you mean `{meant[0]}`?")
        if not root.exists() and (once or dry_run):
            raise ConfigError(f"found nothing at {root}; expected a folder of finished videos; check the path")
    options = Options(tuple(map(root_of, roots)), once=once, dry_run=dry_run, **_selection(flags))
    if dry_run:
        return _list(_settings(flags), options)
    return _run(flags, options, target, metrics_file, on_rendered)


@app.command
def render(
    *paths: Path,
    flags: Flags = Flags(),
) -> int:
    """Render videos, folders or batches by name, then exit; also those that failed before.

    Parameters
    ----------
    paths
        A video, its manifest, a folder, or the name of a batch below outputs/ (the newest of that name).
    flags
        What every command that renders can be told.

    """
    if not paths:
        raise ConfigError("found no path; expected a video, a folder or the name of a batch")
    target = _set_up(flags)
    roots = tuple(root_of(named(path)) for path in paths)
    options = Options(roots, once=True, by_name=True, **_selection(flags))
    return _run(flags, options, target)


@app.command
def collect(
    *batches: Path,
    flags: Flags = Flags(),
) -> int:
    """Collect all attention videos of a batch in its attention_videos/, with a contact sheet per word, then exit.

    Parameters
    ----------
    batches
        Folder of a batch, or its name below outputs/ (the newest of that name). It need not have ended.
    flags
        What every command that renders can be told.

    """
    if not batches:
        raise ConfigError("found no batch; expected a batch's folder or name; for example: attnwatch collect demo")
    target = _set_up(flags)
    roots = tuple(root_of(named(batch)) for batch in batches)
    for root in roots:
        if not root.is_dir():
            raise ConfigError(f"found the file {root}; expected the folder of a batch")
        if not (root / BATCH_FILE).exists() and any(root.glob(f"*/{BATCH_FILE}")):
            raise ConfigError(f"found several batches in {root}; expected the folder of one; name them one by one")
    options = Options(roots, once=True, by_name=True, collect=True, **_selection(flags))
    return _run(flags, options, target)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files that are no UTF-8 are printed as they are
    try:
        with matplotlib_folder():
            code = app(arguments, exit_on_error=False, error_console=console())
        sys.stdout.flush()
    except CycloptsError:
        code = USAGE
    except AttnwatchError as error:
        console().print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        code = USAGE
    except BrokenPipeError:  # whoever reads the data has had enough of it: `attnwatch outputs --dry-run | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = OK
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _run(
    flags: Flags,
    options: Options,
    target: Console,
    metrics_file: Path | None = None,
    on_rendered: str | None = None,
) -> int:
    if not options.once:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the loop hears it: a reload may come at any moment
    settings = _settings(flags)
    environment = {name: value for name, value in os.environ.items() if not is_temporary(name, value)}
    activity = Activity(tuple(map(str, options.roots)), version("attnwatch"))
    audience = Audience(notifier=Notifier.from_environment(), hooks=Hooks(on_rendered), metrics_file=metrics_file)
    try:
        # The engine first: it forks, so there may be no threads yet.
        with LocalEngine() as engine, _progress(target) as audience.progress, _published(options) as audience.publisher:
            report = Report(activity, audience)
            outcome = Daemon(settings, options, engine, report, reload=lambda: _settings(flags)).run()
    except EngineError as error:
        return _begin_again(error, environment)
    if outcome.signal is signal.SIGINT:
        return INTERRUPTED
    if outcome.signal is signal.SIGTERM:
        return OK
    if outcome.failed:
        logging.getLogger(__name__).error(
            "%s could not be rendered", counted(len({target.manifest for target in outcome.failed}), "video")
        )
        return FAILED
    return OK


def _published(options: Options) -> contextlib.AbstractContextManager[Publisher | None]:
    """Let others see what a watcher does; a run that ends by itself is not worth a file."""
    return contextlib.nullcontext() if options.once else Publisher(options.roots)


def _begin_again(error: EngineError, environment: dict[str, str]) -> int:
    """Become a new process of the same kind: all that has to be known is in the receipts. Returns where it may not."""
    log = logging.getLogger(__name__)
    now = time.time()
    if now - float(environment.get(_BEGUN_AGAIN, "0")) < _TOO_SOON:
        log.error("%s, again within %d s; `dmesg` may say why", error, _TOO_SOON)
        return FAILED
    log.error("%s; beginning again", error)
    # With the environment as it was found, so that the service manager goes on hearing of us.
    return os.execve(sys.executable, sys.orig_argv, {**environment, _BEGUN_AGAIN: str(now)})  # noqa: S606 - the very command that the user gave


def _list(settings: Settings, options: Options) -> int:
    planner = Planner(settings, options)
    targets = (target for root in options.roots for target in find_targets(root))
    for manifest in dict.fromkeys(target.manifest for target in targets if planner.plan(target)):
        sys.stdout.write(f"{manifest}\n")
    return OK


class _RateColumn(ProgressColumn):
    """How many videos a minute."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{60 * task.speed:.1f} a minute,")


@contextlib.contextmanager
def _progress(target: Console) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar for the backlog on a terminal; elsewhere the log tells."""
    if not target.is_terminal:
        yield None
        return
    columns = [
        TextColumn("rendering"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("videos"),
        _RateColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    ]
    with Progress(*columns, console=target, transient=True, speed_estimate_period=_RATE_PERIOD) as bar:
        task = bar.add_task("", visible=False)
        yield lambda done, known: bar.update(task, completed=done, total=known, visible=done < known)


def _settings(flags: Flags) -> Settings:
    given: dict[str, Any] = {} if flags.workers is None else {"workers": flags.workers}
    for assignment in flags.assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set: found {assignment!r}; expected NAME=VALUE; for example: --set colormap=viridis")
        given[name.strip().replace("-", "_")] = parse_value(value)
    return load_settings(flags.config, given)


def _set_up(flags: Flags) -> Console:
    target = console()
    set_up(
        logging.DEBUG if flags.verbose else logging.WARNING if flags.quiet else logging.INFO, target, flags.log_format
    )
    return target


def _selection(flags: Flags) -> dict[str, Any]:
    """Return the options that say which videos are taken, and in which order."""
    return {
        "force": flags.force,
        "tokens": _words(flags.tokens),
        "since": None if flags.since is None else flags.since.timestamp(),
        "batch": flags.batch,
        "oldest_first": flags.oldest_first,
        "out": None if flags.out is None else _made(flags.out),
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
