"""Command line: parses arguments, makes one call, and returns an exit code.

Exit codes: 0 success, 1 a video failed, 2 wrong usage or configuration, 130 interrupted.
"""

import contextlib
import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.markup import escape

from attnwatch.batches.targets import distinct_roots, find_targets
from attnwatch.cli import commands
from attnwatch.cli.commands import FAILED, OK
from attnwatch.cli.flags import OUTPUT, Flags
from attnwatch.cli.lookup import named, root_of
from attnwatch.config import Settings
from attnwatch.contract.manifest import BATCH_FILE
from attnwatch.errors import AttnwatchError, ConfigError, EngineError, nearest
from attnwatch.jobs import open_engine
from attnwatch.report.activity import Activity, Publisher
from attnwatch.report.hooks import Hooks
from attnwatch.report.log import STDERR, console, counted
from attnwatch.report.reporter import Audience, Report
from attnwatch.system.display import visible
from attnwatch.system.font_cache import matplotlib_folder
from attnwatch.system.notify import Notifier
from attnwatch.watch.daemon import Daemon
from attnwatch.watch.decision import NotYet, Render
from attnwatch.watch.ledger import Ledger
from attnwatch.watch.options import Options
from attnwatch.watch.plan import Planner

USAGE, INTERRUPTED = 2, 130

_log = logging.getLogger(__name__)

_NOTHING = Flags()

app = App(
    name="attnwatch",
    help="Render where a text-to-video model attends for each tracked word, as soon as each video is finished.",
    version=lambda: version("attnwatch"),
    result_action="return_value",
    default_parameter=Parameter(show_default=False),
)

_COMMANDS = ("render", "collect", *(command.__name__.strip("_") for command in commands.ALL))
for _command in commands.ALL:
    app.command(_command)


@app.default
def watch(
    *roots: Path,
    once: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    metrics_file: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    on_rendered: Annotated[str | None, Parameter(group=OUTPUT)] = None,
    flags: Flags = _NOTHING,
) -> int:
    """Render every finished video below the folders, then each new one as it finishes, until stopped.

    Parameters
    ----------
    roots
        Folders to watch: `outputs/`, a batch, or a folder of videos.
    once
        Render all finished videos, then exit (with 1 if any video failed).
    dry_run
        List the videos that would be rendered, and exit.
    metrics_file
        Write metrics for Prometheus to this file, every few seconds.
    on_rendered
        Run this command after each video, with its receipt (JSON) on standard input.
    flags
        Options of every command that renders.

    """
    if not roots:
        raise ConfigError("found no folder; expected at least one; for example: attnwatch outputs/")
    target = flags.set_up()
    for root in roots:
        if not root.exists() and (meant := nearest(str(root), _COMMANDS, cutoff=0.75)):
            raise ConfigError(f"found nothing at {root}; expected a folder or a command; did you mean `{meant[0]}`?")
        if not root.exists() and (once or dry_run):
            raise ConfigError(f"found nothing at {root}; expected a folder of finished videos; check the path")
    options = Options(_distinct(roots, flags), once=once, dry_run=dry_run, **flags.selection())
    if dry_run:
        return _list(flags.settings(), options)
    return _run(flags, options, target, metrics_file, on_rendered)


@app.command
def render(
    *paths: Path,
    flags: Flags = _NOTHING,
) -> int:
    """Render the given videos, folders or batches, including those that failed before, then exit.

    Parameters
    ----------
    paths
        A video, its manifest, a folder, or the name of a batch in outputs/ (the newest of that name).
    flags
        Options of every command that renders.

    """
    if not paths:
        raise ConfigError(
            "found no path; expected a video, a folder or the name of a batch; for example: attnwatch render demo"
        )
    target = flags.set_up()
    roots = tuple(root_of(named(path)) for path in paths)
    options = Options(roots, once=True, by_name=True, **flags.selection())
    return _run(flags, options, target)


@app.command
def collect(
    *batches: Path,
    flags: Flags = _NOTHING,
) -> int:
    """Collect all attention videos of a batch in its attention_videos/, with a contact sheet per word, then exit.

    Parameters
    ----------
    batches
        Folder of a batch, or its name in outputs/ (the newest of that name). The batch may still be running.
    flags
        Options of every command that renders.

    """
    if not batches:
        raise ConfigError("found no batch; expected a batch's folder or name; for example: attnwatch collect demo")
    target = flags.set_up()
    roots = tuple(root_of(named(batch)) for batch in batches)
    for root in roots:
        if not root.is_dir():
            raise ConfigError(f"found the file {root}; expected the folder of a batch")
        if not (root / BATCH_FILE).exists() and any(root.glob(f"*/{BATCH_FILE}")):
            raise ConfigError(
                f"found several batches in {root}; expected the folder of one batch; list them one by one"
            )
    options = Options(roots, once=True, by_name=True, collect=True, **flags.selection())
    return _run(flags, options, target)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # file names that are not UTF-8 are printed as they are
    try:
        with matplotlib_folder():
            code = app(arguments, exit_on_error=False, error_console=console())
        sys.stdout.flush()
    except CycloptsError:
        code = USAGE
    except AttnwatchError as error:
        text = "\n".join(map(visible, str(error).split("\n")))
        console().print(f"[red]error:[/red] {escape(text)}", soft_wrap=True)
        code = USAGE
    except BrokenPipeError:  # the reader has stopped reading: `attnwatch outputs --dry-run | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = OK
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        STDERR.finish()
    sys.exit(code)


def _distinct(roots: Sequence[Path], flags: Flags) -> tuple[Path, ...]:
    """Return the absolute paths of folders; with `--out`, each has its own outputs, so none is left out."""
    absolute = tuple(map(root_of, roots))
    if flags.out is not None:
        return absolute
    kept, aliases = distinct_roots(absolute)
    for alias in aliases:
        _log.warning("%s leads to the same videos as another folder that was named: it is watched once", alias)
    return kept


def _run(
    flags: Flags,
    options: Options,
    target: Console,
    metrics_file: Path | None = None,
    on_rendered: str | None = None,
) -> int:
    if not options.once:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the loop handles it, a reload must not end the process
    settings = flags.settings()
    activity = Activity(tuple(map(str, options.roots)), version("attnwatch"))
    audience = Audience(notifier=Notifier.from_environment(), hooks=Hooks(on_rendered), metrics_file=metrics_file)
    try:
        # The engine comes first: it forks, so no thread may exist yet.
        with open_engine() as engine:
            STDERR.hand_over()  # from now until the process ends, nothing waits for whoever reads the log
            with _bar(target) as audience.progress, _published(options) as audience.publisher:
                report = Report(activity, audience)
                outcome = Daemon(settings, options, engine, report, reload=flags.settings).run()
    except EngineError as error:
        return _engine_lost(error, options)
    if outcome.signal is signal.SIGINT:
        return INTERRUPTED
    if outcome.signal is signal.SIGTERM:
        return OK
    if outcome.failed:
        _log.error("%s could not be rendered", counted(len({target.manifest for target in outcome.failed}), "video"))
        return FAILED
    return OK


def _engine_lost(error: EngineError, options: Options) -> int:
    again = "run the command again" if options.once else "start the watcher again (a service manager does)"
    hint = f"{again}: no work is lost; `dmesg` may say why"
    _log.error("%s; %s", error, hint)
    return FAILED


def _bar(target: Console) -> contextlib.AbstractContextManager[Callable[[int, int], None] | None]:
    """Show a progress bar for the backlog on a terminal; elsewhere the log reports it."""
    if not target.is_terminal:
        return contextlib.nullcontext()
    from attnwatch.cli.progress import bar  # noqa: PLC0415 - slow to import, and not needed by a service

    return bar(target)


def _published(options: Options) -> contextlib.AbstractContextManager[Publisher | None]:
    """Publish the activity of a watcher where it may write; a run with `--once` needs no activity file."""
    folders = options.roots if options.out is None else (options.out,)
    return contextlib.nullcontext() if options.once else Publisher(folders)


def _list(settings: Settings, options: Options) -> int:
    """Print the manifest of each video that would be rendered."""
    ledger = Ledger(settings, options)
    planner = Planner(settings, options, ledger.decisions)
    due: dict[Path, None] = {}
    for target in (target for root in options.roots for target in find_targets(root)):
        decision = planner.decide(target)
        ledger.apply(target, decision)
        if isinstance(decision, Render | NotYet):
            due.setdefault(target.manifest)
    for manifest in due:
        commands.show(str(manifest))
    return OK
