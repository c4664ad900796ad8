"""The command `compose`: videos and words beside each other in one picture."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from attnwatch.cli.flags import OUTPUT, OUTPUT_FILE, WORDS, SettingFlags, words_of
from attnwatch.cli.output import FAILED, OK, show
from attnwatch.errors import AttnwatchError, ConfigError, UnknownNameError
from attnwatch.report.log import console, set_up

if TYPE_CHECKING:
    from attnwatch.contract.manifest import Manifest
    from attnwatch.render.side_by_side.scene import Request

ARRANGEMENT = Group("Arrangement", sort_key=1)

_NOTHING = SettingFlags()
_log = logging.getLogger(__name__)


def compose(
    *videos: Path,
    output: Annotated[Path | None, OUTPUT_FILE] = None,
    words: Annotated[tuple[str, ...], WORDS] = (),
    source: Annotated[bool | None, Parameter(group=ARRANGEMENT, negative="--no-source")] = None,
    alone: Annotated[bool, Parameter(group=ARRANGEMENT, negative="")] = False,
    columns: Annotated[int | None, Parameter(group=ARRANGEMENT, metavar="N")] = None,
    width: Annotated[int | None, Parameter(group=ARRANGEMENT, metavar="N")] = None,
    scale: Annotated[Literal["shared", "each"], Parameter(group=ARRANGEMENT)] = "shared",
    max_size: Annotated[str | None, Parameter(group=OUTPUT, metavar="SIZE")] = None,
    flags: SettingFlags = _NOTHING,
) -> int:
    """Put videos and words beside each other: in sync, with captions, on one colour scale.

    Parameters
    ----------
    videos
        Videos, their manifests, folders or batches of them, or patterns of their names such as 'demo/prompt_001_*'.
        They need not have been rendered.
    output
        The file to write: MP4, or GIF or WebP for slides, by its suffix.
    words
        Show only these words, separated by commas (default: all). Each has a column, and each video a row.
    source
        Show the videos without attention too (default: unless there is one word of several videos).
    alone
        Show the maps alone, without the video behind them.
    columns
        Videos beside each other; of a single video, words (default: so that the page is about as wide as a screen).
    width
        Width of the page in pixels (default: that of the videos, at most 1920; of a GIF or WebP, 960).
    scale
        One colour scale for a word in all videos, or one for each video (default: shared).
    max_size
        Largest size of a GIF or WebP, such as 5MB: frames are left out, then it gets smaller, then coarser.
    flags
        Options that set something.

    """
    across, width, limit = _positive("--columns", columns), _positive("--width", width), _bytes(max_size)
    if not videos:
        raise ConfigError("found no video; expected at least one; for example: attnwatch compose demo -o demo.mp4")
    if output is None:
        raise ConfigError("found no output; expected one; for example: attnwatch compose demo --words kiss -o kiss.mp4")
    from attnwatch.render.side_by_side.scene import Request  # noqa: PLC0415 - help and errors of usage need no numpy
    from attnwatch.settings.effects import ON_COMPOSITIONS  # noqa: PLC0415

    set_up(logging.INFO, console(), "auto")
    flags.require_effect(ON_COMPOSITIONS, "compositions")
    request = Request(
        words=words_of(words) or (),
        source=source,
        alone=alone,
        across=across,
        width=width,
        shared=scale == "shared",
    )
    return _written(videos, output, request, limit, flags)


ALL = (compose,)


def _written(videos: tuple[Path, ...], output: Path, request: "Request", limit: int | None, flags: SettingFlags) -> int:
    from attnwatch.contract.receipts import describe  # noqa: PLC0415
    from attnwatch.render.side_by_side.writing import write  # noqa: PLC0415
    from attnwatch.system.sizes import size_text  # noqa: PLC0415

    try:
        manifests = _manifests(videos)
        settings = flags.settings()
        look, notes = settings.for_batch(manifests[0].document.visualization, manifests[0].path)
        request = replace(request, threads=settings.watcher.workers, memory=settings.watcher.memory_limit)
        written = write(manifests, look.per_video(), request, output, limit)
    except (ConfigError, UnknownNameError):
        raise
    except (AttnwatchError, OSError, MemoryError) as error:
        _log.error("%s: not written: %s", output, describe(error))
        return FAILED
    for note in (*notes, *written.notes):
        _log.warning("%s", note)
    width, height = written.size
    seconds = written.frames / float(written.rate)
    show(f"{output}: {width} x {height} pixels, {seconds:.2f} s, {size_text(output.stat().st_size)}")
    return OK


def _manifests(paths: tuple[Path, ...]) -> "list[Manifest]":
    from attnwatch.batches.videos import read_video  # noqa: PLC0415
    from attnwatch.cli.lookup import videos  # noqa: PLC0415

    return [read_video(path) for path in videos(*paths)]


def _positive(flag: str, number: int | None) -> int | None:
    if number is not None and number < 1:
        raise ConfigError(f"{flag}: found {number}; expected a whole number from 1 on")
    return number


def _bytes(text: str | None) -> int | None:
    from pydantic import ByteSize, TypeAdapter, ValidationError  # noqa: PLC0415

    try:
        return None if text is None else TypeAdapter(ByteSize).validate_python(text)
    except ValidationError:
        raise ConfigError(f"--max-size: found {text!r}; expected a size such as 5MB or 800KB") from None
