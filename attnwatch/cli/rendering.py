"""The commands that render: the watcher itself, render and collect."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from attnwatch.cli.examples import SYNOPSIS
from attnwatch.cli.flags import GIVEN, OUTPUT, Flags
from attnwatch.errors import ConfigError

_NOTHING = Flags()


def watch(
    *folders: Annotated[Path, GIVEN],
    once: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    wait: Annotated[bool, Parameter(negative="")] = False,
    metrics_file: Annotated[Path | None, Parameter(group=OUTPUT, metavar="FILE")] = None,
    on_rendered: Annotated[str | None, Parameter(group=OUTPUT, metavar="COMMAND")] = None,
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
    on_rendered
        Run this command after each video, with its receipt (JSON) on standard input.
    flags
        Options of every command that renders.

    """
    if not folders:
        raise ConfigError("found no folder; expected at least one; for example: attnwatch outputs/")
    from attnwatch.cli import watching  # noqa: PLC0415 - help and errors of usage need nothing of it
    from attnwatch.cli.lookup import to_watch  # noqa: PLC0415

    target = flags.set_up()
    now = "--once" if once else "--dry-run" if dry_run else None
    roots = [to_watch(folder, filter(None, SYNOPSIS), waits=wait, now=now) for folder in folders]
    options = flags.options(watching.distinct(roots, flags), once=once, dry_run=dry_run)
    if dry_run:
        return watching.list_due(flags.settings(), options)
    return watching.run(flags, options, target, metrics_file, on_rendered)


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
    from attnwatch.cli import watching  # noqa: PLC0415
    from attnwatch.cli.lookup import named, root_of  # noqa: PLC0415

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


ALL = (render, collect)
