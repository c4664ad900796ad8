"""Runs the watcher: gives it its engine, its bar and its report, and turns what came out into an exit code."""

import contextlib
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from attnwatch.batches.targets import distinct_roots, find_targets, home_of_root
from attnwatch.cli.flags import Flags
from attnwatch.cli.output import FAILED, INTERRUPTED, OK, show
from attnwatch.config import Settings
from attnwatch.errors import EngineError
from attnwatch.jobs import open_engine
from attnwatch.report.activity import Activity, Publisher
from attnwatch.report.hooks import Hooks
from attnwatch.report.log import STDERR, counted
from attnwatch.report.reporter import Audience, Report
from attnwatch.system.notify import Notifier
from attnwatch.watch.daemon import Daemon
from attnwatch.watch.decision import NotYet, Render
from attnwatch.watch.ledger import Ledger
from attnwatch.watch.options import Options
from attnwatch.watch.plan import Planner

if TYPE_CHECKING:
    from attnwatch.report.metrics import Metrics

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outlets:
    """Where other programs hear of a run.

    Attributes:
        metrics_file: file with metrics for Prometheus; None for none.
        metrics_port: where metrics are served, as `[HOST:]PORT`; None for nowhere.
        on_rendered: command to run after each video; None for none.

    """

    metrics_file: Path | None = None
    metrics_port: str | None = None
    on_rendered: str | None = None

    def metrics(self, activity: Activity) -> "Metrics | None":
        """Return the metrics of a run, if they are wanted."""
        if self.metrics_file is None and self.metrics_port is None:
            return None
        from attnwatch.report.metrics import Metrics  # noqa: PLC0415 - a run without them is spared its libraries

        return Metrics(activity, self.metrics_file)

    def serving(self, metrics: "Metrics | None") -> contextlib.AbstractContextManager[object]:
        """Serve the metrics in the context, if that is wanted.

        Raises:
            ConfigError: if the port cannot be opened.

        """
        if metrics is None or self.metrics_port is None:
            return contextlib.nullcontext()
        return metrics.serve(self.metrics_port)


_NOWHERE = Outlets()


def distinct(roots: Sequence[Path], flags: Flags) -> tuple[Path, ...]:
    """Return the absolute paths of folders; with `--out`, each has its own outputs, so none is left out."""
    absolute = tuple(roots)
    if flags.out is not None:
        return absolute
    kept, aliases = distinct_roots(absolute)
    for alias in aliases:
        _log.warning("%s leads to the same videos as another folder that was named: it is watched once", alias)
    return kept


def run(
    flags: Flags,
    options: Options,
    target: Console,
    outlets: Outlets = _NOWHERE,
) -> int:
    """Run the watcher until it has ended, and return its exit code."""
    if not options.once:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the loop handles it, a reload must not end the process
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a caller may ignore it: exit codes of commands would then be lost
    settings = flags.settings()
    activity = Activity(tuple(map(str, options.roots)), version("attnwatch"))
    metrics = outlets.metrics(activity)
    audience = Audience(notifier=Notifier.from_environment(), hooks=Hooks(outlets.on_rendered), metrics=metrics)
    try:
        # The engine comes first: it forks, so no thread may exist yet.
        with (
            open_engine(settings.watcher, partial(_folders, options)) as engine,
            outlets.serving(metrics),  # in a thread
        ):
            STDERR.hand_over()  # from now until the process ends, nothing waits for whoever reads the log
            with _bar(target, options) as audience.progress, _published(options) as audience.publisher:
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
    if outcome.nothing is not None:
        _log.error("%s", outcome.nothing)
        return FAILED
    return OK


def _folders(options: Options) -> Iterator[tuple[Path, bool]]:
    """Yield the folders that jobs work in, each with whether they write there."""
    yield from ((home_of_root(root), options.out is None) for root in options.roots)
    if options.out is not None:
        yield options.out, True


def _engine_lost(error: EngineError, options: Options) -> int:
    again = "run the command again" if options.once else "start the watcher again (a service manager does)"
    _log.error("%s; %s: no work is lost", error, again)
    return FAILED


def _bar(target: Console, options: Options) -> contextlib.AbstractContextManager[Callable[[int, int], None] | None]:
    """Show a progress bar for the backlog on a terminal; elsewhere the log reports it."""
    if not target.is_terminal:
        return contextlib.nullcontext()
    from attnwatch.cli.progress import bar  # noqa: PLC0415 - slow to import, and not needed by a service

    return bar(target, watching=not options.once)


def _published(options: Options) -> contextlib.AbstractContextManager[Publisher | None]:
    """Publish the activity of a watcher where it may write; a run with `--once` needs no activity file."""
    folders = options.roots if options.out is None else (options.out,)
    return contextlib.nullcontext() if options.once else Publisher(folders)


def list_due(settings: Settings, options: Options) -> int:
    """Print the manifest of each video that would be rendered."""
    ledger = Ledger(settings, options)
    planner = Planner(settings, options, ledger.decisions)
    due: dict[Path, None] = {}
    roots = ((root, options.root_of(root)) for root in options.roots)
    for target in (target for root, start in roots for target in find_targets(root, start=start)):
        decision = planner.decide(target)
        ledger.apply(target, decision)
        if isinstance(decision, Render | NotYet):
            due.setdefault(target.manifest)
    for manifest in due:
        show(str(manifest))
    if not due and (nothing := ledger.left_out.nothing()) is not None:
        _log.error("%s", nothing)
        return FAILED
    if not due:
        _log.info("nothing to render: see `attnwatch status`")
    return OK
