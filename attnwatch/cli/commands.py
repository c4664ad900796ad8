"""The commands that render nothing: they say how things stand, what is wrong, and what to do."""

import sys
from collections import Counter
from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from attnwatch.cli.doctor import examine
from attnwatch.cli.lookup import folder, named
from attnwatch.cli.retry import retry as make_due
from attnwatch.cli.summary import summary
from attnwatch.config import load_settings
from attnwatch.contract.documents import DOCUMENTS, json_schema
from attnwatch.errors import ConfigError
from attnwatch.report.log import counted
from attnwatch.report.status import status as take_stock

OK, FAILED = 0, 1

_Config = Annotated[
    Path | None, Parameter(name=["--config", "-c"], help="YAML file; the one that the watcher is given.")
]


def check(*paths: Path) -> int:
    """Say what is wrong with a batch, a folder or a manifest, in the words of whoever wrote it.

    Parameters
    ----------
    paths
        What to check. Every tensor is read and every video is decoded.

    """
    from attnwatch.cli.check import check as check_path  # noqa: PLC0415 - numpy and av, which nothing else here needs

    if not paths:
        raise ConfigError("found no path; expected a batch, a folder or a manifest")
    documents = wrong = 0
    for path in paths:
        for document, problems in check_path(named(path).absolute()):
            documents += 1
            wrong += bool(problems)
            _print(f"{'wrong' if problems else 'ok   '}  {document}")
            for problem in problems:
                _print(f"       {problem}")
    if not documents:
        raise ConfigError(
            f"found no manifest at or below {', '.join(map(str, paths))}; expected files named *.complete.json "
            "beside the videos (FORMAT.md)"
        )
    _print(f"{counted(documents, 'document')}, {wrong} wrong")
    return FAILED if wrong else OK


def schema(document: str = "manifest") -> int:
    """Print the JSON Schema of a document of the contract.

    Parameters
    ----------
    document
        manifest, batch, batch-complete, failure, receipt, contact-sheets, or status (what `status --json` prints).

    """
    if document not in DOCUMENTS:
        raise ConfigError(f"found {document!r}; expected one of: {', '.join(DOCUMENTS)}")
    _print(dumps(json_schema(document), indent=2))
    return OK


def status(root: Path, *, json: Annotated[bool, Parameter(negative="")] = False, out: Path | None = None) -> int:
    """Say what is rendered, waiting, running and failed, and who is at work. Works also while no watcher runs.

    Parameters
    ----------
    root
        A folder, or the name of a batch below outputs/ (the newest of that name).
    json
        Print a JSON document (`attnwatch schema status`).
    out
        Folder that outputs and receipts go to, if the watcher was given one with `--out`.

    """
    stock = take_stock(folder(root), _outputs(out))
    _print(stock.model_dump_json(indent=2) if json else summary(stock))
    return OK


def retry(root: Path, *video_ids: str, out: Path | None = None) -> int:
    """Forget the failed attempts of videos, so that they are tried again now; by a running watcher, or the next one.

    Parameters
    ----------
    root
        A folder, or the name of a batch below outputs/ (the newest of that name).
    video_ids
        Only these videos; without, all that failed.
    out
        Folder that outputs and receipts go to, if the watcher was given one with `--out`.

    """
    done = missed = 0
    for retried in make_due(folder(root), video_ids, _outputs(out)):
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
    config: _Config = None,
) -> int:
    """Examine whether this machine and a folder are fit for a watcher, and say what to do. Exits with 1 if not.

    Parameters
    ----------
    root
        A folder, or the name of a batch below outputs/ (the newest of that name).
    config
        For `min_free_space`.

    """
    levels: Counter[str] = Counter()
    settings = load_settings(config, {}).watcher
    for finding in examine(folder(root), settings):
        levels[finding.level] += 1
        _print(f"{finding.level:<9}{finding.text}")
        if finding.remedy is not None:
            _print(f"{'':<9}-> {finding.remedy}")
    _print(f"{counted(levels['problem'], 'problem')}, {counted(levels['warning'], 'warning')}")
    return FAILED if levels["problem"] else OK


def import_(
    root: Path,
    *,
    convert: Annotated[bool, Parameter(negative="")] = False,
    trust_pickle: Annotated[bool, Parameter(negative="")] = False,
    config: _Config = None,
) -> int:
    """Write manifests for the videos of older batches. Nothing old is changed, and rendering works without, too.

    Parameters
    ----------
    root
        A folder, or the name of a batch below outputs/ (the newest of that name).
    convert
        Write the tensors as safetensors, too.
    trust_pickle
        Open also tensors in .pt files, which can run any program, and convert them (needs torch).
    config
        For `settle_time`, `settle_time_unmarked` and `memory_limit`.

    """
    from attnwatch.batches.importing import import_batch  # noqa: PLC0415 - numpy and av, which nothing else here needs

    settings = load_settings(config, {}).watcher
    done = missed = 0
    for imported in import_batch(folder(root), settings, convert=convert, trust_pickles=trust_pickle):
        done += imported.manifest is not None
        missed += imported.manifest is None
        _print(f"{imported.manifest or imported.tensors}{f': {imported.obstacle}' if imported.obstacle else ''}")
        for note in imported.notes:
            _print(f"       {note}")
    _print(f"{counted(done, 'manifest')} written{f', {missed} not' if missed else ''}")
    return FAILED if missed else OK


ALL: tuple[Callable[..., int], ...] = (check, schema, status, retry, doctor, import_)


def _outputs(out: Path | None) -> Path | None:
    """Return the absolute path of the folder that outputs went to; it has to be there."""
    if out is not None and not out.is_dir():
        raise ConfigError(f"--out: found no folder {out}; expected the one that outputs went to; check the path")
    return None if out is None else out.absolute()


def _print(text: str) -> None:
    """Write data to stdout; the log goes to stderr."""
    sys.stdout.write(f"{text}\n")
