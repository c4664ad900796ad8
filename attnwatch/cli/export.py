"""The command that exports attention for compositing programs."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, Token, validators

from attnwatch.cli.flags import OUTPUT, OUTPUT_FOLDER, WORDS, SettingFlags, words_of
from attnwatch.cli.output import FAILED, OK, show
from attnwatch.cli.page_flags import PageFlags
from attnwatch.errors import ConfigError
from attnwatch.report.log import counted

_NOTHING = SettingFlags()
_WHOLE_PAGE = PageFlags()


def _as_given(_type: object, tokens: Sequence[Token]) -> Path:
    """Return a path; an absolute one if it ends in a slash and a page may be meant to be there."""
    path = Path(tokens[0].value)
    return path.absolute() if tokens[0].value.endswith("/") and _is_for_page(path) else path


def _is_for_page(path: Path) -> bool:
    """Return whether nothing is there, or a page from before: that one is refused, but as a page and not as videos."""
    if not path.is_dir():
        return not os.path.lexists(path)
    return not any(path.iterdir()) or ((path / "index.html").is_file() and (path / "data").is_dir())


def export(
    *videos: Annotated[Path, Parameter(converter=_as_given)],
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["png16", "exr", "prores4444", "page"] | None,
        Parameter(name=["--format", "-f"], group=OUTPUT, metavar="FORMAT"),
    ] = None,
    words: Annotated[tuple[str, ...], WORDS] = (),
    grid: Annotated[bool, Parameter(negative="", group=OUTPUT)] = False,
    out: Annotated[Path | None, OUTPUT_FOLDER] = None,
    first_number: Annotated[
        int, Parameter(group=OUTPUT, metavar="N", validator=validators.Number(gte=0, lte=1_000_000))
    ] = 1,
    page: PageFlags = _WHOLE_PAGE,
    flags: SettingFlags = _NOTHING,
) -> int:
    """Export attention for compositing programs, or the page of `attnwatch view` as a folder that needs no server.

    For compositing: linear, at the size of the video, a picture for each of its frames. A JSON document beside the
    images, or the film, of each word says when each picture is shown, and on which scale.

    Parameters
    ----------
    videos
        Videos, their manifests, folders or batches of them, or patterns of their names such as 'demo/prompt_001_*'.
        They need not have been rendered.
    format
        `exr` (the default): 32-bit float, attention as it is.
        `png16`: 16-bit grey, from the lower to the upper end of the scale.
        `prores4444`: a film with alpha, on the same scale.
        `page`: the page, as a folder that opens by double click; also if the last argument is a new folder with a `/`.
    words
        Export only these words, separated by commas (default: all).
    grid
        Export the latent grid itself: an image for each latent frame, a pixel for each cell.
    out
        Put the folder of each export here (default: `attention_videos/export/` beside each video); the folder of the
        page.
    first_number
        Number of the first image (default: 1).
    page
        Options of the page.
    flags
        Options that set something.

    """
    if not videos:
        raise ConfigError("found no video; expected at least one; for example: attnwatch export video_001.mp4")
    if format is None and out is None and len(videos) > 1 and videos[-1].is_absolute() and _is_for_page(videos[-1]):
        videos, out, format = videos[:-1], videos[-1], "page"  # noqa: A001
    if format == "page":
        from attnwatch.cli.exporting_page import export_page  # noqa: PLC0415

        flags.require_effect(frozenset(), "the page")
        return export_page(videos, out, page, words_of(words) or (), images=grid or first_number != 1)
    if page != _WHOLE_PAGE:
        raise ConfigError("--videos, --steps, --link: found without a page; expected with it; add --format page")
    from attnwatch.cli.exporting import export_each  # noqa: PLC0415 - help needs nothing of it
    from attnwatch.settings.effects import ON_EXPORTS  # noqa: PLC0415

    flags.require_effect(ON_EXPORTS, "exports")
    settings = flags.settings()
    asked = {"kind": format or "exr", "grid": grid, "words": words_of(words), "first_number": first_number}
    done = missed = 0
    for exported in export_each(videos, settings, out, asked):
        show(exported.line)
        for note in exported.notes:
            show(f"       {note}")
        done += exported.done
        missed += not exported.done
    show(f"{counted(done, 'video')} exported{f', {missed} not' if missed else ''}")
    return FAILED if missed else OK


ALL = (export,)
