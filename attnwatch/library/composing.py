"""Puts videos and words beside each other, for display in a notebook."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from attnwatch.contract.manifest import Manifest
from attnwatch.errors import ConfigError
from attnwatch.library.clip import Clip
from attnwatch.library.effective import effective, log_notes
from attnwatch.library.files import PathName
from attnwatch.library.rendering import as_manifest
from attnwatch.library.video import Video
from attnwatch.render.side_by_side.composing import compose as render
from attnwatch.render.side_by_side.scene import Request


def compose(
    videos: Mapping[str, Video] | Video | Iterable[Video | Manifest | PathName],
    words: str | Sequence[str] = (),
    *,
    source: bool | None = None,
    alone: bool = False,
    columns: int | None = None,
    width: int | None = None,
    scale: Literal["shared", "each"] = "shared",
    **settings: Any,  # noqa: ANN401 - a setting's own type
) -> Clip:
    """Put videos and words beside each other: in sync, with captions, on one colour scale.

    Args:
        videos: a batch, a video, or several of them: videos, their manifests, or the paths of either.
        words: slugs or texts of the words to show; none for all.
        source: whether the videos are shown without attention too; None for where there is more than one column anyway.
        alone: whether maps are shown alone, without the video behind them.
        columns: videos beside each other (words, if there is only one video); None to choose.
        width: width of the page in pixels; None for that of the videos, at most 1920.
        scale: `shared` for one colour scale of a word in all videos, `each` for one in each.
        settings: by name, as for `render_video`; the batch's own are those of the first video.

    Raises:
        ConfigError: there is no video, there are too many, or a setting is unknown or invalid.
        UnknownNameError: (a `KeyError`) no video has a word; the message lists those that there are.
        NotReadyError, ContractError, VideoError: a file is missing, breaks the contract, or cannot be decoded.

    """
    given = videos.values() if isinstance(videos, Mapping) else [videos] if isinstance(videos, Video) else videos
    manifests = [as_manifest(video) for video in given]
    if not manifests:
        raise ConfigError("videos: found none; expected at least one")
    pictures, watcher = effective(manifests[0], settings)
    request = Request(
        words=(words,) if isinstance(words, str) else tuple(words),
        source=source,
        alone=alone,
        across=columns,
        width=width,
        shared=scale == "shared",
        threads=watcher.workers,
        memory=watcher.memory_limit,
    )
    with tempfile.TemporaryDirectory(prefix="attnwatch-") as folder:
        path = Path(folder, "composed.mp4")
        log_notes(manifests[0], render(manifests, pictures, request, path).notes)
        return Clip(path.name, path.read_bytes())
