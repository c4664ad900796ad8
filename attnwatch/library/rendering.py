"""Renders a video in this process, like the watcher or into any folder."""

import tempfile
from pathlib import Path
from typing import Any

from attnwatch.batches.discover import manifest_of
from attnwatch.batches.videos import read_video
from attnwatch.contract.manifest import Manifest, verify
from attnwatch.contract.names import is_manifest
from attnwatch.contract.receipts import Place
from attnwatch.errors import BusyError, ConfigError, JobError
from attnwatch.jobs.video import Job, run
from attnwatch.library.effective import effective, log_notes
from attnwatch.library.files import PathName
from attnwatch.library.video import Video
from attnwatch.render.video import render_outputs
from attnwatch.settings import Visualization, Watcher
from attnwatch.system.files import move_into_place
from attnwatch.system.folders import Folder


def render_video(
    video: Video | Manifest | PathName,
    directory: PathName | None = None,
    **settings: Any,  # noqa: ANN401 - a setting's own type
) -> tuple[Path, ...]:
    """Render all words of a video in this process, even if rendered before, and return the paths of the outputs.

    Args:
        video: the video, its manifest, or the path of either.
        directory: folder for the outputs. None for the video's own `attention_videos`, with lock and receipt like the
            watcher; a watcher with different settings renders them again.
        settings: by name, as in a configuration file. They override environment variables, which override the batch's
            own. `workers` is the number of words encoded at the same time; `visualization_timeout` is ignored.

    Raises:
        ConfigError: the video does not exist, or a setting is unknown or invalid.
        BusyError: another process is rendering the video's own outputs.
        JobError: the video's own outputs cannot be rendered. With another `directory`, the cause is raised instead:
        NotReadyError, ContractError, VideoError: a file is missing, breaks the contract, or cannot be decoded.

    """
    manifest = as_manifest(video)
    chosen = effective(manifest, settings)
    if directory is None or Path(directory).resolve() == manifest.output_directory.resolve():
        return _render_beside(manifest, *chosen)
    return _render_into(Path(directory), manifest, *chosen)


def _render_beside(manifest: Manifest, pictures: Visualization, watcher: Watcher) -> tuple[Path, ...]:
    place = Place(manifest.path, manifest.video_id, manifest.output_directory, root=manifest.outputs_root)
    result = run(Job(place, place.look(), pictures, None, watcher, video_may_be_absent=True, threads=watcher.workers))
    if result.receipt is None:
        raise (BusyError if result.busy else JobError)(result.obstacle)
    if result.receipt.status == "failed":
        raise JobError(f"{manifest.video_id}: not rendered: {result.receipt.attempts[-1].error}")
    log_notes(manifest, result.receipt.notes)
    return tuple(place.directory / output.file for output in result.receipt.outputs)


def _render_into(directory: Path, manifest: Manifest, pictures: Visualization, watcher: Watcher) -> tuple[Path, ...]:
    verify(manifest, video_may_be_absent=True)
    directory.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=".attnwatch-", dir=directory) as path,
        Folder.open(Path(path)) as temporary,
        Folder.open(directory) as folder,
    ):
        rendering = render_outputs(manifest, pictures, temporary.path, threads=watcher.workers)
        for output in rendering.outputs:
            move_into_place(output.path.name, temporary, folder, output.file)
        folder.sync()
    log_notes(manifest, rendering.notes)
    return tuple(directory / output.file for output in rendering.outputs)


def as_manifest(video: Video | Manifest | PathName) -> Manifest:
    """Return the manifest of a video, given as itself or as a path. Raises `ConfigError` if there is none."""
    if isinstance(video, (Video, Manifest)):
        return video.manifest if isinstance(video, Video) else video
    if is_manifest((path := manifest_of(Path(video).absolute())).name) and path.is_file():
        return read_video(path)
    raise ConfigError(f"found no manifest for {path}; expected a finished video or its manifest; check the path")
