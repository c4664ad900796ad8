"""Writes a composition to a file that a user has named: a video, or a moving picture for slides."""

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from attnwatch.contract.manifest import Manifest
from attnwatch.errors import ConfigError
from attnwatch.media.marks import mark
from attnwatch.render.side_by_side.animations import DETAILS, animate, fastest
from attnwatch.render.side_by_side.composing import Composition, compose
from attnwatch.render.side_by_side.limits import Form, fitted
from attnwatch.render.side_by_side.scene import Request
from attnwatch.settings import Visualization
from attnwatch.system.files import move_into_place
from attnwatch.system.folders import Folder
from attnwatch.system.output_files import require_writable

_VIDEO = ".mp4"
SUFFIXES = (_VIDEO, *DETAILS)

_ANIMATION_WIDTH = 960
_log = logging.getLogger(__name__)


def write(
    manifests: Sequence[Manifest], settings: Visualization, request: Request, path: Path, limit: int | None = None
) -> Composition:
    """Write videos and words beside each other to a file, which is never visible in part. Reductions are logged.

    Args:
        manifests: manifests of the videos, at least one.
        settings: how overlays look, and the selected steps, layers and heads.
        request: what is to be shown, and how it is arranged.
        path: the file; its suffix, `.mp4`, `.gif` or `.webp`, decides what it is.
        limit: bytes that a GIF or WebP may have; None for any number.

    Raises:
        ConfigError: the file cannot be written there, or not within the limit; and see `compose`.
        UnknownNameError, NotReadyError, ContractError, VideoError: see `compose`.

    """
    _require_usable(path, manifests, limit)
    with _written(path) as unfinished:
        if path.suffix.lower() == _VIDEO:
            composed = compose(manifests, settings, request, unfinished)
            mark(unfinished)
            return composed
        return _animated(manifests, settings, request, unfinished, limit)


def _require_usable(path: Path, manifests: Sequence[Manifest], limit: int | None) -> None:
    suffix = require_writable(path, SUFFIXES)
    if limit is not None and suffix == _VIDEO:
        raise ConfigError(
            "max_size: found a limit for a video; expected a name that ends in .gif or .webp; leave it out"
        )
    for manifest in manifests:
        for file in (manifest.path, manifest.video, *manifest.attention):
            if path.exists() and file.exists() and path.samefile(file):
                raise ConfigError(
                    f"found {path} as the output and as a file of {manifest.video_id}; expected another name"
                )


@contextlib.contextmanager
def _written(path: Path) -> Iterator[Path]:
    """Provide a hidden file beside the path, and put it into place if all went well."""
    with (
        tempfile.TemporaryDirectory(prefix=".attnwatch-", dir=path.parent) as hidden,
        Folder.open(Path(hidden)) as temporary,
        Folder.open(path.parent) as folder,
    ):
        yield Path(hidden, path.name)
        move_into_place(path.name, temporary, folder, path.name)
        folder.sync()


def _animated(
    manifests: Sequence[Manifest],
    settings: Visualization,
    request: Request,
    path: Path,
    limit: int | None,
) -> Composition:
    """Write a GIF or WebP. Its page is composed anew at each width, so that captions keep their size."""
    suffix = path.suffix.lower()
    video = path.with_name("composed.mp4")
    silent = settings.model_copy(update={"audio": False, "quality": "high"})
    request = replace(request, widest=_ANIMATION_WIDTH)
    composed = compose(manifests, silent, request, video)
    frames, width = 0, composed.size[0]

    def written(form: Form) -> int:
        nonlocal composed, frames, width
        if form.width != width:
            composed, width = compose(manifests, silent, replace(request, width=form.width), video), form.width
        frames = animate(video, path, form.rate, form.detail)
        mark(path)
        return path.stat().st_size

    first = Form(fastest(suffix, composed.rate), width, DETAILS[suffix].steps[0])
    if limit is None:
        written(first)
        form = first
    else:
        form = fitted(written, first, DETAILS[suffix], limit, lambda what: _log.info("%s: %s", path.name, what))
    return replace(composed, rate=Fraction(form.rate), frames=frames)
