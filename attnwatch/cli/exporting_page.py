"""Exports the page with the videos that are named on the command line."""

import os
from collections.abc import Sequence
from pathlib import Path

from attnwatch.batches.targets import batch_of
from attnwatch.cli.lookup import videos
from attnwatch.cli.output import FAILED, OK, show
from attnwatch.cli.page_flags import PageFlags
from attnwatch.contract.receipts import describe
from attnwatch.errors import ConfigError
from attnwatch.report.log import counted
from attnwatch.system.sizes import size_text


def export_page(
    given: Sequence[Path], out: Path | None, page: PageFlags, words: tuple[str, ...], *, images: bool
) -> int:
    """Export the page, and return the exit code.

    Args:
        given: videos, their manifests, folders, names of batches, or patterns of names of videos in one of these.
        out: the folder of the page.
        page: options of the page.
        words: slugs or texts of words; empty for all.
        images: whether an option was given that only images have.

    Raises:
        ConfigError: the folder is missing or in use, an option has no effect, or the extra is not installed.

    """
    if out is None:
        raise ConfigError("--format page: found no folder for the page; expected one; for example: -o page/")
    if images:
        raise ConfigError("--grid, --first-number: found with the page; expected with images; leave them out")
    try:
        from attnwatch.web.export.content import Content, Selection  # noqa: PLC0415
        from attnwatch.web.export.writing import require_free, write_page  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"found no {error.name}; expected it for the page; install it: pip install 'attnwatch[view]'"
        ) from error
    require_free(out.absolute())
    chosen = frozenset(path.absolute() for path in videos(*given))
    root = Path(os.path.commonpath([batch_of(path) for path in chosen]))
    patterns = tuple(one.strip() for given in page.videos for one in given.split(",") if one.strip())
    content = Content(root, chosen, Selection(patterns, words, page.steps or "all", linked=page.link))
    steps = max((len(maps.steps) for video in content.videos for maps in video.detail.maps.values()), default=0)
    what = f"{counted(len(content.videos), 'video')}, {counted(steps, 'denoising step')}"
    shown = Path(os.path.relpath(out)) if out.absolute().is_relative_to(Path.cwd()) else out
    show(f"{shown}: about {size_text(content.size)}: {what}")
    try:
        write_page(content, out.absolute())
    except OSError as error:
        show(f"{shown}: not written: {describe(error)}")
        return FAILED
    show(f"{shown / 'index.html'}: open it in a browser")
    return OK
