"""The commands that render: the watcher itself, render and collect."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from attnwatch.cli.examples import SYNOPSIS
from attnwatch.cli.flags import GIVEN, OUTPUT, Flags
from attnwatch.errors import ConfigError

_NOTHING = Flags()

_MetricsFile = Annotated[Path | None, Parameter(group=OUTPUT, metavar="FILE")]
_MetricsPort = Annotated[str | None, Parameter(group=OUTPUT, metavar="[HOST:]PORT")]
_OnRendered = Annotated[str | None, Parameter(group=OUTPUT, metavar="COMMAND")]


def watch(
    *folders: Annotated[Path, GIVEN],
    once: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    wait: Annotated[bool, Parameter(negative="")] = False,
    metrics_file: _MetricsFile = None,
    metrics_port: _MetricsPort = None,
    on_rendered: _OnRendered = None,
    started_by: Annotated[int | None, Parameter(show=False)] = None,
    flags: Flags = _NOTHING,
) -> int:
    """Render every finished video below the folders, then each new one as it finishes, until stopped.

    Parameters
    ----------
    folders
        Folders to watch: `outputs/`, a batch, or a folder of videos.
    once
        Render all finished videos, then exit (with 1 if any video failed).
    dry_run
        List the videos that would be rendered, and exit.
    wait
        Wait for folders that do not exist yet. Those given with a slash, such as `outputs/`, are waited for anyway.
    metrics_file
        Write metrics for Prometheus to this file, every few seconds.
    metrics_port
        Serve metrics for Prometheus at this port; without a host such as `0.0.0.0:`, to this machine only.
    on_rendered
        Run this command after each video, with its receipt (JSON) on standard input.
    started_by
        Process of `attnwatch run` that has started this watcher, and that it ends with.
    flags
        Options of every command that renders.

    """
    if started_by is not None:
        from attnwatch.cli.running import follow  # noqa: PLC0415 - help and errors of usage need nothing of it

        follow(started_by)
    if not folders:
        raise ConfigError("found no folder; expected at least one; for example: attnwatch outputs/")
    from attnwatch.cli import watching  # noqa: PLC0415 - help and errors of usage need nothing of it
    from attnwatch.cli.lookup import to_watch  # noqa: PLC0415

    target = flags.set_up()
    now = "--once" if once else "--dry-run" if dry_run else None
    roots = [to_watch(folder, [*filter(None, SYNOPSIS)], waits=wait, now=now) for folder in folders]
    options = flags.options(watching.distinct(roots, flags), once=once, dry_run=dry_run)
    if dry_run:
        return watching.list_due(flags.settings(), options)
    return watching.run(flags, options, target, watching.Outlets(metrics_file, metrics_port, on_rendered))


def run(
    folder: Annotated[Path, GIVEN] = Path("outputs"),
    /,
    *,
    command: Annotated[tuple[str, ...], Parameter(show=False, consume_multiple=False, negative="")] = (),
    metrics_file: _MetricsFile = None,
    metrics_port: _MetricsPort = None,
    on_rendered: _OnRendered = None,
    flags: Flags = _NOTHING,
) -> int:
    """Run a command that makes videos, and render each of them as it finishes, in one terminal.

    Ctrl+C stops the command, then what is finished is rendered; a second Ctrl+C stops that, too.

    The exit code is that of the command.

    Parameters
    ----------
    folder
        Folder that the command writes to; it may not exist yet (default: `outputs/`).
    command
        The command and its arguments.
    metrics_file
        Write metrics for Prometheus to this file, every few seconds.
    metrics_port
        Serve metrics for Prometheus at this port; without a host such as `0.0.0.0:`, to this machine only.
    on_rendered
        Run this command after each video, with its receipt (JSON) on standard input.
    flags
        Options of every command that renders.

    """
    if not command:
        raise ConfigError(
            "found no command; expected one after `--`; for example: attnwatch run outputs/ -- python -m generator ..."
        )
    from attnwatch.cli import running  # noqa: PLC0415
    from attnwatch.cli.lookup import to_watch  # noqa: PLC0415

    root = to_watch(folder, (), waits=True, now=None)
    flags.options([root])  # whatever is wrong is said before the command begins
    each = [] if on_rendered is None else [f"--on-rendered={on_rendered}"]
    metrics = [] if metrics_file is None else [f"--metrics-file={metrics_file}"]
    metrics += [] if metrics_port is None else [f"--metrics-port={metrics_port}"]
    first = [*flags.as_arguments(), *metrics, *each]
    # The first has rendered everything again.
    last = [*replace(flags, force=False, outdated=False).as_arguments(), *each]
    prefix = "" if flags.log_format in ("json", "journald") else "[attnwatch] "
    return running.run(command, running.Watchers(root, first, last), flags.set_up, prefix)


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
    from attnwatch.batches.named import named  # noqa: PLC0415
    from attnwatch.cli import watching  # noqa: PLC0415
    from attnwatch.cli.lookup import root_of  # noqa: PLC0415

    target = flags.set_up()
    roots = [root_of(named(path)) for path in paths]
    return watching.run(flags, flags.options(roots, once=True, by_name=True), target)


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
    from attnwatch.cli import watching  # noqa: PLC0415
    from attnwatch.cli.lookup import batch_folder  # noqa: PLC0415

    target = flags.set_up()
    roots = [batch_folder(batch) for batch in batches]
    return watching.run(flags, flags.options(roots, once=True, by_name=True, collect=True), target)


ALL = (run, render, collect)
