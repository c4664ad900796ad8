"""The commands that do not render: check, schema, status, retry, doctor and import."""

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
from attnwatch.system.display import visible

OK, FAILED = 0, 1

_Config = Annotated[Path | None, Parameter(name=["--config", "-c"], help="YAML file of the watcher.")]


def check(*paths: Path) -> int:
    """Check a batch, a folder or a manifest against FORMAT.md, and list everything that is wrong.

    Parameters
    ----------
    paths
        Batches, folders or manifests to check. Reads every tensor and decodes every video.

    """
    from attnwatch.cli.check import check as check_path  # noqa: PLC0415 - imports numpy and av, which the other commands do not need

    if not paths:
        raise ConfigError(
            "found no path; expected a batch, a folder or a manifest; for example: attnwatch check outputs/"
        )
    documents = wrong = 0
    for path in paths:
        for document, problems in check_path(named(path).absolute()):
            documents += 1
            wrong += bool(problems)
            show(f"{'wrong' if problems else 'ok   '}  {document}")
            for problem in problems:
                show(f"       {problem}")
    if not documents:
        raise ConfigError(
            f"found no manifest at or below {', '.join(map(str, paths))}; expected files named *.complete.json "
            "beside the videos (FORMAT.md)"
        )
    show(f"{counted(documents, 'document')}, {wrong} wrong")
    return FAILED if wrong else OK


def schema(document: str = "manifest") -> int:
    """Print the JSON Schema of a document described in FORMAT.md.

    Parameters
    ----------
    document
        manifest, batch, batch-complete, failure, receipt, contact-sheets, or status (what `status --json` prints).

    """
    if document not in DOCUMENTS:
        raise ConfigError(f"found {document!r}; expected one of: {', '.join(DOCUMENTS)}")
    _write(dumps(json_schema(document), indent=2))
    return OK


def status(root: Path, *, json: Annotated[bool, Parameter(negative="")] = False, out: Path | None = None) -> int:
    """Show which videos are rendered, waiting, running and failed, and which watchers run. Needs no running watcher.

    Parameters
    ----------
    root
        A folder, or the name of a batch in outputs/ (the newest of that name).
    json
        Print a JSON document (`attnwatch schema status`).
    out
        Folder of outputs and receipts, if the watcher was started with `--out`.

    """
    stock = take_stock(folder(root), _outputs(out))
    text = stock.model_dump_json(indent=2) if json else summary(stock)
    for line in text.split("\n"):
        show(line)
    return OK


def retry(root: Path, *video_ids: str, out: Path | None = None) -> int:
    """Reset failed videos so that a running (or the next) watcher retries them.

    Parameters
    ----------
    root
        A folder, or the name of a batch in outputs/ (the newest of that name).
    video_ids
        Identifiers of the videos to reset (default: all failed videos).
    out
        Folder of outputs and receipts, if the watcher was started with `--out`.

    """
    done = missed = 0
    for retried in make_due(folder(root), video_ids, _outputs(out)):
        rendering = retried.rendering
        where = f" in the collection of {rendering.batch}" if rendering.batch else ""
        done += retried.obstacle is None
        missed += retried.obstacle is not None
        show(f"{rendering.place.video_id}{where}: {retried.obstacle or 'will be tried again'}")
    show(f"{counted(done, 'video')} will be tried again")
    return FAILED if missed else OK


def doctor(
    root: Path,
    *,
    config: _Config = None,
) -> int:
    """Check whether a watcher can work on this machine and in a folder. Suggests remedies; exits with 1 on a problem.

    Parameters
    ----------
    root
        A folder, or the name of a batch in outputs/ (the newest of that name).
    config
        YAML file of the watcher, for `min_free_space`.

    """
    levels: Counter[str] = Counter()
    settings = load_settings(config, {}).watcher
    for finding in examine(folder(root), settings):
        levels[finding.level] += 1
        show(f"{finding.level:<9}{finding.text}")
        if finding.remedy is not None:
            show(f"{'':<9}-> {finding.remedy}")
    show(f"{counted(levels['problem'], 'problem')}, {counted(levels['warning'], 'warning')}")
    return FAILED if levels["problem"] else OK


def import_(
    root: Path,
    *,
    convert: Annotated[bool, Parameter(negative="")] = False,
    trust_pickle: Annotated[bool, Parameter(negative="")] = False,
    config: _Config = None,
) -> int:
    """Write manifests for the videos of older batches. Existing files stay unchanged; rendering does not need this.

    Parameters
    ----------
    root
        A folder, or the name of a batch in outputs/ (the newest of that name).
    convert
        Also write the tensors as safetensors.
    trust_pickle
        Also convert tensors in .pt files, which can run any code when opened (needs torch).
    config
        YAML file of the watcher, for `settle_time`, `settle_time_unmarked` and `memory_limit`.

    """
    from attnwatch.batches.importing import import_batch  # noqa: PLC0415 - imports numpy and av, which the other commands do not need

    settings = load_settings(config, {}).watcher
    done = missed = 0
    for imported in import_batch(folder(root), settings, convert=convert, trust_pickles=trust_pickle):
        done += imported.manifest is not None
        missed += imported.manifest is None
        show(f"{imported.manifest or imported.tensors}{f': {imported.obstacle}' if imported.obstacle else ''}")
        for note in imported.notes:
            show(f"       {note}")
    show(f"{counted(done, 'manifest')} written{f', {missed} not' if missed else ''}")
    return FAILED if missed else OK


ALL: tuple[Callable[..., int], ...] = (check, schema, status, retry, doctor, import_)


def _outputs(out: Path | None) -> Path | None:
    """Return the absolute path of the folder of outputs, which must exist."""
    if out is not None and not out.is_dir():
        raise ConfigError(f"--out: found no folder {out}; expected the folder of the outputs; check the path")
    return None if out is None else out.absolute()


def show(line: str) -> None:
    """Write a line of data to stdout, with what is unsafe to show escaped; the log goes to stderr."""
    _write(visible(line, raw_bytes=True))


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
