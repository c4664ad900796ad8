"""The command that exports attention for compositing programs."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from attnwatch.cli.flags import OUTPUT, OUTPUT_FOLDER, WORDS, SettingFlags, words_of
from attnwatch.cli.output import FAILED, OK, show
from attnwatch.errors import ConfigError
from attnwatch.report.log import counted

_NOTHING = SettingFlags()


def export(
    *videos: Path,
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["png16", "exr", "prores4444"], Parameter(name=["--format", "-f"], group=OUTPUT, metavar="FORMAT")
    ] = "exr",
    words: Annotated[tuple[str, ...], WORDS] = (),
    grid: Annotated[bool, Parameter(negative="", group=OUTPUT)] = False,
    out: Annotated[Path | None, OUTPUT_FOLDER] = None,
    first_number: Annotated[
        int, Parameter(group=OUTPUT, metavar="N", validator=validators.Number(gte=0, lte=1_000_000))
    ] = 1,
    flags: SettingFlags = _NOTHING,
) -> int:
    """Export attention for compositing programs: linear, at the size of the video, a picture for each of its frames.

    A JSON document beside the images, or the film, of each word says when each picture is shown, and on which scale.

    Parameters
    ----------
    videos
        Videos, their manifests, folders or batches of them, or patterns of their names such as 'demo/prompt_001_*'.
        They need not have been rendered.
    format
        `exr` (the default): 32-bit float, attention as it is.
        `png16`: 16-bit grey, from the lower to the upper end of the scale.
        `prores4444`: a film with alpha, on the same scale.
    words
        Export only these words, separated by commas (default: all).
    grid
        Export the latent grid itself: an image for each latent frame, a pixel for each cell.
    out
        Put the folder of each export here (default: `attention_videos/export/` beside each video).
    first_number
        Number of the first image (default: 1).
    flags
        Options that set something.

    """
    if not videos:
        raise ConfigError("found no video; expected at least one; for example: attnwatch export video_001.mp4")
    from attnwatch.cli.exporting import export_each  # noqa: PLC0415 - help needs nothing of it
    from attnwatch.settings.effects import ON_EXPORTS  # noqa: PLC0415

    flags.require_effect(ON_EXPORTS, "exports")
    settings = flags.settings()
    asked = {"kind": format, "grid": grid, "words": words_of(words), "first_number": first_number}
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
