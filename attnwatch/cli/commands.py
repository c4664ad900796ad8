"""The commands that do not render: check, status, retry, accept, doctor and import."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from attnwatch.cli.cluster_flags import PATH_MAP, given_cluster
from attnwatch.cli.exclusion import Excluded, exclusion, exclusion_from
from attnwatch.cli.folder_flags import FollowLinks, Out, given, links, outputs
from attnwatch.cli.output import FAILED, OK, show
from attnwatch.errors import ConfigError
from attnwatch.report.log import counted
from attnwatch.system.roots import Root

_Root = Annotated[Path | None, Parameter(show=False)]
"""The folder, as an option: its only name up to version 0.3.0."""

_Config = Annotated[Path | None, Parameter(name=["--config", "-c"], metavar="FILE")]


def check(*paths: Path, follow_links: FollowLinks = False, exclude: Excluded = ()) -> int:
    """Check a batch, a folder or a manifest against FORMAT.md, and list everything that is wrong.

    Parameters
    ----------
    paths
        Batches, folders or manifests to check. Reads every tensor and decodes every video.
    follow_links
        Follow links below the folders, to folders and to files.
    exclude
        Leave out folders and videos of this name or path; may be repeated.

    """
    if not paths:
        raise ConfigError(
            "found no path; expected a batch, a folder or a manifest; for example: attnwatch check outputs/"
        )
    from attnwatch.batches.discover import not_followed  # noqa: PLC0415 - help and errors of usage need nothing of it
    from attnwatch.batches.named import named  # noqa: PLC0415
    from attnwatch.cli.check import check as check_path  # noqa: PLC0415
    from attnwatch.cli.check import remarks  # noqa: PLC0415

    documents = wrong = noted = 0
    excluded = exclusion_from(exclude)
    linked: list[Path] = []
    for path in paths:
        for document, problems in check_path(named(path).absolute(), links(follow_links), linked, excluded):
            notes = [] if problems else list(remarks(document, Root(document.parent, links(follow_links))))
            documents, wrong, noted = documents + 1, wrong + bool(problems), noted + bool(notes)
            show(f"{'wrong' if problems else 'note ' if notes else 'ok   '}  {document}")
            for line in (*problems, *notes):
                show(f"       {line}")
    if linked:
        show(not_followed(linked))
    if not documents:
        raise ConfigError(
            f"found no manifest at or below {', '.join(map(str, paths))}; expected files named *.complete.json "
            "beside the videos (FORMAT.md)"
        )
    show(f"{counted(documents, 'document')}, {wrong} wrong{f', {noted} with a note' if noted else ''}")
    return FAILED if wrong else OK


def status(
    folder: Path | None = None,
    /,
    *,
    root: _Root = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    out: Out = None,
    follow_links: FollowLinks = False,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative="")] = False,
    health: Annotated[bool, Parameter(negative="")] = False,
    exclude: Excluded = (),
) -> int:
    """Show which videos are rendered, waiting, running and failed, and which watchers run. Needs no running watcher.

    Parameters
    ----------
    folder
        A folder, or the name of a batch in outputs/ (the newest of that name).
    root
        The same, as an option.
    json
        Print a JSON document (`attnwatch schema status`).
    out
        Folder of outputs and receipts, if the watcher was started with `--out`.
    follow_links
        Follow links below the folder, as the watcher does if it was started with this option.
    verbose
        List all batches, and the prompts of each.
    health
        Only tell whether a watcher of this machine is alive; exits with 1 if none is.
    exclude
        Leave out folders and videos of this name or path; may be repeated.

    """
    start = given(root or folder, "status")
    if health:
        from attnwatch.cli.health import health as tell  # noqa: PLC0415

        return tell(out or start)
    from attnwatch.cli.summary import summary  # noqa: PLC0415
    from attnwatch.report.status import status as take_stock  # noqa: PLC0415

    stock = take_stock(start, outputs(out), links(follow_links), exclusion_from(exclude))
    text = stock.model_dump_json(indent=2) if json else summary(stock, verbose=verbose)
    for line in text.split("\n"):
        show(line)
    return OK


def retry(
    folder: Path | None = None,
    /,
    *video_ids: str,
    root: _Root = None,
    out: Out = None,
    follow_links: FollowLinks = False,
    exclude: Excluded = (),
) -> int:
    """Reset failed videos so that a running (or the next) watcher retries them.

    Parameters
    ----------
    folder
        A folder, or the name of a batch in outputs/ (the newest of that name).
    video_ids
        Identifiers of the videos to reset (default: all failed videos).
    root
        The folder, as an option.
    out
        Folder of outputs and receipts, if the watcher was started with `--out`.
    follow_links
        Follow links below the folder, as the watcher does if it was started with this option.
    exclude
        Leave out folders and videos of this name or path; may be repeated.

    """
    if root is not None and folder is not None:
        video_ids = (str(folder), *video_ids)
    start = given(root or folder, "retry")
    from attnwatch.cli.retry import retry as make_due  # noqa: PLC0415

    done = missed = 0
    for retried in make_due(start, video_ids, outputs(out), links(follow_links), exclusion_from(exclude)):
        rendering = retried.rendering
        where = f" in the collection of {rendering.batch}" if rendering.batch else ""
        done += retried.obstacle is None
        missed += retried.obstacle is not None
        show(f"{rendering.place.video_id}{where}: {retried.obstacle or 'will be tried again'}")
    show(f"{counted(done, 'video')} will be tried again")
    return FAILED if missed else OK


def accept(*videos: Path, root: Path | None = None, out: Out = None, follow_links: FollowLinks = False) -> int:
    """Take the present files of videos for the right ones, such as after an edit of metadata, and have them rendered.

    Parameters
    ----------
    videos
        Videos or their manifests. Reads their files, and records those that are not as the manifest lists them.
    root
        The folder that the watcher was given, if it was started with `--out` (default: the folder of each video).
    out
        Folder of outputs and receipts, if the watcher was started with `--out`.
    follow_links
        Follow links on the way to the videos, as the watcher does if it was started with this option.

    """
    if not videos:
        raise ConfigError("found no video; expected at least one; for example: attnwatch accept video_001.mp4")
    from attnwatch.cli.accept import accept as accept_files  # noqa: PLC0415
    from attnwatch.cli.lookup import video  # noqa: PLC0415

    folder, missed = outputs(out), 0
    for manifest in list(map(video, videos)):
        result = accept_files(manifest, None if root is None else given(root, "accept"), folder, links(follow_links))
        name, missed = result.video_id or str(manifest), missed + (result.obstacle is not None)
        for file, record in result.files.items():
            show(f"{name}: accepted {file} ({record.bytes:,} bytes, SHA-256 {record.sha256})")
        if not result.files:
            show(f"{name}: {result.obstacle or 'nothing to accept: all files are as the manifest lists them'}")
    return FAILED if missed else OK


def doctor(
    folder: Path | None = None,
    /,
    *,
    root: _Root = None,
    config: _Config = None,
    exclude: Excluded = (),
    engine: Annotated[str | None, Parameter(metavar="ENGINE")] = None,
    path_map: Annotated[tuple[str, ...], PATH_MAP] = (),
) -> int:
    """Check whether a watcher can work on this machine, in a folder and on a cluster; exits with 1 on a problem.

    Parameters
    ----------
    folder
        A folder, or the name of a batch in outputs/ (the newest of that name).
    root
        The same, as an option.
    config
        YAML file of the watcher, for `min_free_space`, `exclude`, `engine` and `path_map`.
    exclude
        Leave out folders and videos of this name or path; may be repeated.
    engine
        Also check the scheduler and the workers of this Dask cluster, such as `dask://HOST:8786`, as a watcher does.
    path_map
        A folder that workers of a cluster have under another path; may be repeated.

    """
    start = given(root or folder, "doctor")
    from attnwatch.cli.doctor import examine, told  # noqa: PLC0415
    from attnwatch.config import load_settings  # noqa: PLC0415

    settings = load_settings(config, given_cluster(engine, path_map)).watcher
    return FAILED if told(examine(start, settings, exclusion(exclude, settings)))["problem"] else OK


def import_(
    folder: Path | None = None,
    /,
    *,
    root: _Root = None,
    convert: Annotated[bool, Parameter(negative="")] = False,
    trust_pickle: Annotated[bool, Parameter(negative="")] = False,
    config: _Config = None,
    follow_links: FollowLinks = False,
    exclude: Excluded = (),
) -> int:
    """Write manifests for the videos of older batches. Existing files stay unchanged; rendering does not need this.

    Parameters
    ----------
    folder
        A folder, or the name of a batch in outputs/ (the newest of that name).
    root
        The same, as an option.
    convert
        Also write the tensors as safetensors.
    trust_pickle
        Also convert tensors in .pt files, which can run any code when opened (needs torch).
    config
        YAML file of the watcher, for `settle_time`, `settle_time_unmarked`, `memory_limit` and `exclude`.
    follow_links
        Follow links below the folder, to folders and to files.
    exclude
        Leave out folders and videos of this name or path; may be repeated.

    """
    start = given(root or folder, "import")
    from attnwatch.batches.importing import import_batch  # noqa: PLC0415
    from attnwatch.config import load_settings  # noqa: PLC0415

    settings = load_settings(config, {}).watcher
    done = missed = 0
    searched = Root(start, links(follow_links), excluded=exclusion(exclude, settings))
    imports = import_batch(searched, settings, convert=convert, trust_pickles=trust_pickle)
    for imported in imports:
        done += imported.manifest is not None
        missed += imported.manifest is None
        show(f"{imported.manifest or imported.tensors}{f': {imported.obstacle}' if imported.obstacle else ''}")
        for note in imported.notes:
            show(f"       {note}")
    rest = f", {missed} not" if missed else "" if done else ": found no older video without one"
    show(f"{counted(done, 'manifest')} written{rest}")
    return FAILED if missed else OK


ALL: tuple[Callable[..., int], ...] = (check, status, retry, accept, doctor, import_)
