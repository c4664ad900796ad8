"""The commands that look after a folder without rendering anything: `status`, `retry`, `doctor`."""

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from attnwatch.config import load_settings
from attnwatch.doctor import examine
from attnwatch.errors import ConfigError
from attnwatch.log import counted
from attnwatch.retry import retry as make_due
from attnwatch.status import status as take_stock
from attnwatch.summary import summary

OK, FAILED = 0, 1


def status(root: Path, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Say what is rendered, waiting, running and failed, and who is at work. Works also while no watcher runs.

    Parameters
    ----------
    root
        The folder: `outputs/`, a batch, or a folder of videos.
    json
        Print a JSON document (`attnwatch schema status`).

    """
    stock = take_stock(_folder(root))
    _print(stock.model_dump_json(indent=2) if json else summary(stock))
    return OK


def retry(root: Path, *video_ids: str) -> int:
    """Forget the failed attempts of videos, so that they are tried again now; by a running watcher, or the next one.

    Parameters
    ----------
    root
        The folder: `outputs/`, a batch, or a folder of videos.
    video_ids
        Only these videos; without, all that failed.

    """
    done = missed = 0
    for retried in make_due(_folder(root), video_ids):
        rendering = retried.rendering
        where = f" in the collection of {rendering.batch}" if rendering.batch else ""
        done += retried.obstacle is None
        missed += retried.obstacle is not None
        _print(f"{rendering.place.video_id}{where}: {retried.obstacle or 'to be tried again'}")
    _print(f"{counted(done, 'video')} to be tried again")
    return FAILED if missed else OK


def doctor(
    root: Path,
    *,
    config: Annotated[
        Path | None, Parameter(name=["--config", "-c"], help="YAML file; the one that the watcher is given.")
    ] = None,
) -> int:
    """Examine whether this machine and a folder are fit for a watcher, and say what to do. Exits with 1 if not.

    Parameters
    ----------
    root
        The folder: `outputs/`, a batch, or a folder of videos.
    config
        For `min_free_space`.

    """
    levels: Counter[str] = Counter()
    settings = load_settings(config, {}).watcher
    for finding in examine(_folder(root), settings):
        levels[finding.level] += 1
        _print(f"{finding.level:<9}{finding.text}")
        if finding.remedy is not None:
            _print(f"{'':<9}-> {finding.remedy}")
    _print(f"{counted(levels['problem'], 'problem')}, {counted(levels['warning'], 'warning')}")
    return FAILED if levels["problem"] else OK


def _folder(path: Path) -> Path:
    if not path.is_dir():
        found = "the file" if path.exists() else "nothing at"
        raise ConfigError(f"found {found} {path}; expected a folder that videos are finished in; check the path")
    return path.absolute()


def _print(text: str) -> None:
    """Write data to stdout; the log goes to stderr."""
    sys.stdout.write(f"{text}\n")
